"""Raw receipts -> tables of pages, words and rejects."""

from receipt_ocr.pipelines.ingestion.pipeline import create_pipeline as create_pipeline
