"""Wiring of the reporting stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.reporting.nodes import (
    draw_gallery,
    draw_histories,
    draw_scores,
    gather_histories,
    write_report,
)
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """Say in words, tables and pictures what the experiment reached."""
    histories = [f"fold_{fold}_history" for fold in range(FOLD_COUNT)]
    settings, histories_of_members = ["params:experiments", "params:test_time"], "member_histories"
    tables = ["pages", "rejected", "scores", "page_scores", "untuned_page_scores"]
    postprocess = ["chosen_postprocess", "tuned_postprocess", "tuning_table", "holdout_postprocess"]
    return Pipeline(
        [
            Node(
                gather_histories,
                ["params:experiments", "params:ensemble", "other_experiments", *histories],
                histories_of_members,
                name="gather_histories",
            ),
            Node(draw_histories, histories_of_members, "history_plot", name="draw_histories"),
            Node(draw_scores, "page_scores", "score_plot", name="draw_scores"),
            Node(
                draw_gallery,
                ["test_detections", "pages", "words", "page_scores", "raw_receipts"],
                "gallery",
                name="draw_gallery",
            ),
            Node(
                write_report,
                [*settings, histories_of_members, "raw_receipts", *tables, *postprocess],
                "report",
                name="write_report",
            ),
        ]
    )
