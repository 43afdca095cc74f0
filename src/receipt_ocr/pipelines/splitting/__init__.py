"""Pages -> folds."""

from receipt_ocr.pipelines.splitting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
