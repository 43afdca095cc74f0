"""Wiring of the final fit, which is kept apart from the folds and judged by none of its pages."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.identity import fold_name
from receipt_ocr.pipelines.ensemble.nodes import detect_words
from receipt_ocr.pipelines.final_fit.nodes import pick_epochs, pick_postprocess, train_final
from receipt_ocr.pipelines.submission.nodes import format_submission, register_final
from receipt_ocr.pipelines.training.nodes import predict_subset
from receipt_ocr.receipts.settings import FOLD_COUNT

RECIPE, SETTINGS, TTA = "params:experiments", "params:final_fit", "params:test_time"
HISTORIES = [f"{fold_name(fold)}_history" for fold in range(FOLD_COUNT)]
LABELLED = ["params:ingestion", "final_epochs", "pages", "words", "raw_receipts"]
DETECTOR, CHOSEN, MAPS = "final_checkpoint", "final_postprocess", "final_test_maps"
FOUND, JSON, CSV = "final_test_detections", "final_submission_json", "final_submission_csv"


def create_pipeline() -> Pipeline:
    """Train one detector on all labelled pages, and make a submission with it."""
    training = [RECIPE, SETTINGS, *LABELLED, "final_work_folder"]
    predicting = [DETECTOR, RECIPE, TTA, "pages", "raw_receipts"]
    choosing = [SETTINGS, RECIPE, "tuned_postprocess"]
    formatting, made = [FOUND, "pages", "rejected"], [CSV, RECIPE, TTA, CHOSEN, "experiment_store"]
    kept = ["submissions", "submission_records"]
    return Pipeline(
        [
            Node(pick_epochs, [SETTINGS, RECIPE, *HISTORIES], "final_epochs", name="choose_epochs"),
            Node(train_final, training, [DETECTOR, "final_history"], name="train_final"),
            Node(predict_subset("test"), predicting, MAPS, name="predict_final_test"),
            Node(pick_postprocess, choosing, CHOSEN, name="choose_final_postprocess"),
            Node(detect_words, [MAPS, CHOSEN], FOUND, name="detect_final_words"),
            Node(format_submission, formatting, [JSON, CSV], name="format_final_submission"),
            Node(register_final, made, kept, name="register_final_submission"),
        ]
    )
