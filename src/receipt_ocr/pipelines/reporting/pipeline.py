"""Wiring of the reporting stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.reporting.drawing import (
    draw_gallery,
    draw_histories,
    draw_scores,
    draw_search,
    draw_worst,
)
from receipt_ocr.pipelines.reporting.nodes import (
    gather_experiments,
    gather_histories,
    gather_records,
    render_page,
    write_report,
)
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline"]

SETTINGS, VARIANT = "params:report", ["params:experiments", "params:test_time"]
HISTORIES = [f"fold_{fold}_history" for fold in range(FOLD_COUNT)]
RECORDS = ["submission_records", "leaderboard_records"]
DATA, SCORES = ["pages", "rejected"], ["scores", "page_scores", "untuned_page_scores"]
POSTPROCESS = ["chosen_postprocess", "tuned_postprocess", "tuning_table", "holdout_postprocess"]
FILES = ["history_file", "score_file", "search_files", "gallery_file", "worst_pages_file"]


def create_pipeline(**_: Any) -> Pipeline:
    """Say in words, tables and pictures what the experiments reached."""
    return Pipeline(
        [*_gather(), *_draw(), *_write()],
        namespace="reporting",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )


def _gather() -> list[Node]:
    return [
        Node(
            gather_histories,
            ["params:experiments", "params:ensemble", "experiment_store", *HISTORIES],
            "member_histories",
            name="gather_histories",
        ),
        Node(
            gather_experiments,
            [SETTINGS, *VARIANT, "page_scores", "experiment_store", *RECORDS],
            ["compared_experiments", "left_out_experiments", "record_faults"],
            name="gather_experiments",
        ),
        Node(
            gather_records,
            [*VARIANT, "experiment_store", "compared_experiments"],
            ["entry_runs", "lost_runs"],
            name="gather_records",
        ),
    ]


def _draw() -> list[Node]:
    """Each picture goes into a file of its own, and into the page."""
    return [
        Node(
            draw_histories,
            ["member_histories", "compared_experiments"],
            ["history_plot", "history_file"],
            name="draw_histories",
        ),
        Node(draw_scores, "page_scores", ["score_plot", "score_file"], name="draw_scores"),
        Node(
            draw_search,
            ["tuned_postprocess", "tuning_table"],
            "search_files",
            name="draw_search_again",
        ),
        Node(
            draw_gallery,
            ["test_detections", "pages", "words", "page_scores", "raw_receipts"],
            ["gallery", "gallery_file"],
            name="draw_gallery",
        ),
        Node(
            draw_worst,
            ["worst_detections", "pages", "words", "raw_receipts"],
            ["worst_pages", "worst_pages_file"],
            name="draw_worst_pages",
        ),
    ]


def _write() -> list[Node]:
    compared = ["compared_experiments", "left_out_experiments", "record_faults"]
    compared += ["experiment_store", "entry_runs", "lost_runs"]
    return [
        Node(
            write_report,
            [
                *(SETTINGS, *VARIANT, "params:dataset", "member_histories"),
                *(*compared, *DATA, *SCORES, "word_outcomes", *POSTPROCESS, "worst_detections"),
            ],
            "report",
            name="write_report",
        ),
        Node(render_page, [SETTINGS, "report", *FILES], "report_page", name="render_page"),
    ]
