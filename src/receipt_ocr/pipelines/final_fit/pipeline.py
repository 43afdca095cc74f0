"""Wiring of the final fit, which is kept apart from the folds and judged by none of its pages."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ensemble.nodes import detect_words
from receipt_ocr.pipelines.final_fit.nodes import choose_epochs, choose_postprocess, train_final
from receipt_ocr.pipelines.submission.nodes import format_submission, register_final
from receipt_ocr.pipelines.training.nodes import predict_subset
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline"]

HISTORIES = [f"fold_{fold}_history" for fold in range(FOLD_COUNT)]
TABLES = ["pages", "words", "raw_receipts"]


def create_pipeline(**_: Any) -> Pipeline:
    """The final fit."""
    recipe, settings = "params:experiments", "params:final_fit"
    return Pipeline(
        [
            Node(choose_epochs, [settings, recipe, *HISTORIES], "final_epochs"),
            Node(
                train_final,
                [
                    recipe,
                    settings,
                    "params:ingestion",
                    "final_epochs",
                    *TABLES,
                    "final_work_folder",
                ],
                ["final_checkpoint", "final_history"],
                name="train_final",
            ),
            Node(
                predict_subset("test"),
                ["final_checkpoint", recipe, "params:test_time", "pages", "raw_receipts"],
                "final_test_maps",
                name="predict_final_test",
            ),
            Node(choose_postprocess, [settings, recipe, "tuned_postprocess"], "final_postprocess"),
            Node(
                detect_words,
                ["final_test_maps", "final_postprocess"],
                "final_test_detections",
                name="detect_final_words",
            ),
            Node(
                format_submission,
                ["final_test_detections", "pages", "rejected"],
                ["final_submission_json", "final_submission_csv"],
                name="format_final_submission",
            ),
            Node(
                register_final,
                [
                    "final_submission_csv",
                    recipe,
                    "params:test_time",
                    "final_postprocess",
                    "experiment_store",
                ],
                ["submissions", "submission_records"],
                name="register_final_submission",
            ),
        ]
    )
