"""Draw synthetic receipts."""

from receipt_ocr.pipelines.synthesis.pipeline import create_pipeline as create_pipeline
