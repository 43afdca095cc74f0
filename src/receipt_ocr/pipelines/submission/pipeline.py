"""Wiring of the submission stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.submission.nodes import format_submission, register_submission

FILES, KEPT = ["submission_json", "submission_csv"], ["submissions", "submission_records"]
FOUND = ["test_detections", "pages", "rejected"]
MAKERS = ["params:experiments", "params:test_time", "chosen_postprocess", "scores"]


def create_pipeline() -> Pipeline:
    """Write what the contest takes, and remember who made it."""
    described = ["submission_csv", *MAKERS, "experiment_store"]
    return Pipeline(
        [
            Node(format_submission, FOUND, FILES, name="format_submission"),
            Node(register_submission, described, KEPT, name="register_submission"),
        ],
        namespace="submission",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
