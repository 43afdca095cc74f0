"""Final fit: one detector from all labelled pages, for as long as the folds have shown."""

from receipt_ocr.pipelines.final_fit.pipeline import create_pipeline as create_pipeline
