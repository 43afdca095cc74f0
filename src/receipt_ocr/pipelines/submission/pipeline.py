"""Wiring of the submission stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.submission.nodes import format_submission, register_submission

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """Write what the contest takes, and remember who made it."""
    settings, made_of = ["params:experiments", "params:test_time"], ["chosen_postprocess", "scores"]
    return Pipeline(
        [
            Node(
                format_submission,
                ["test_detections", "pages", "rejected"],
                ["submission_json", "submission_csv"],
                name="format_submission",
            ),
            Node(
                register_submission,
                ["submission_csv", *settings, *made_of, "experiment_store"],
                ["submissions", "submission_records"],
                name="register_submission",
            ),
        ],
        namespace="submission",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
