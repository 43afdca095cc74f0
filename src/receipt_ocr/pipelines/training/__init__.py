"""Training: pages and folds -> detectors, histories and probability maps."""

from receipt_ocr.pipelines.training.pipeline import (
    create_fold_pipeline,
    create_pipeline,
    create_prediction_pipeline,
)

__all__ = ["create_fold_pipeline", "create_pipeline", "create_prediction_pipeline"]
