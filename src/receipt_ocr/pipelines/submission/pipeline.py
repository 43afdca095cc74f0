"""Wiring of the submission stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.submission.nodes import format_submission

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """Write what the contest takes."""
    return Pipeline(
        [
            Node(
                format_submission,
                ["test_detections", "pages", "rejected"],
                ["submission_json", "submission_csv"],
                name="format_submission",
            )
        ]
    )
