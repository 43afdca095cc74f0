"""Pages -> folds."""

from receipt_ocr.pipelines.splitting.pipeline import create_pipeline as create_pipeline
