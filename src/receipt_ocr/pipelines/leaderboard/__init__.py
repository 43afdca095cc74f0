"""Leaderboard: a score that others gave a submission -> records and MLflow figures."""

from receipt_ocr.pipelines.leaderboard.pipeline import create_pipeline, create_scoring_pipeline

__all__ = ["create_pipeline", "create_scoring_pipeline"]
