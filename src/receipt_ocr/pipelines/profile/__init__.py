"""Profile: a few real training steps -> where their time goes."""

from receipt_ocr.pipelines.profile.pipeline import create_pipeline

__all__ = ["create_pipeline"]
