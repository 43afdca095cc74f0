"""Draw synthetic receipts."""

from receipt_ocr.pipelines.synthesis.pipeline import create_pipeline

__all__ = ["create_pipeline"]
