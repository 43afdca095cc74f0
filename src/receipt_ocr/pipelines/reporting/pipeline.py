"""Wiring of the reporting stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.identity import fold_name
from receipt_ocr.pipelines.reporting import drawing, nodes
from receipt_ocr.receipts.settings import FOLD_COUNT

SETTINGS, VARIANT = "params:report", ["params:experiments", "params:test_time"]
HISTORIES = [f"{fold_name(fold)}_history" for fold in range(FOLD_COUNT)]
RECORDS = ["submission_records", "leaderboard_records"]
TABLES = ["pages", "rejected", "untuned_page_scores", "word_outcomes", "tuning_table"]
FILES = ["history_file", "score_file", "search_files", "gallery_file", "worst_pages_file"]


def create_pipeline(**_: Any) -> Pipeline:
    """Say in words, tables and pictures what the experiments reached."""
    return Pipeline(
        [*_gather(), *_draw(), *_write()],
        namespace="reporting",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )


def _gather() -> list[Node]:
    store, scores = "experiment_store", "page_scores"
    chosen = ["chosen_postprocess", "tuned_postprocess"]
    found = ["compared_experiments", "report_tables", "entry_runs"]
    return [
        Node(
            nodes.gather_histories,
            ["params:ensemble", store, *HISTORIES],
            "member_histories",
            name="gather_histories",
        ),
        Node(
            nodes.gather_experiment,
            [*VARIANT, store, "member_histories", scores, *chosen],
            "own_experiment",
            name="gather_experiment",
        ),
        Node(
            nodes.compare_experiments,
            [SETTINGS, "own_experiment", store, *RECORDS],
            "compared_experiments",
            name="compare_experiments",
        ),
        Node(nodes.find_runs, [store, "compared_experiments"], "entry_runs", name="find_runs"),
        Node(
            nodes.gather_tables,
            [*TABLES, "holdout_postprocess"],
            "report_tables",
            name="gather_tables",
        ),
        Node(
            nodes.gather_results,
            [*VARIANT, "params:dataset", "member_histories", *found],
            "report_results",
            name="gather_results",
        ),
    ]


def _draw() -> list[Node]:
    """Each picture goes into a file of its own, and into the page."""
    pages = ["pages", "words"]
    return [
        Node(
            drawing.draw_histories,
            ["member_histories", "own_experiment"],
            ["history_plot", "history_file"],
            name="draw_histories",
        ),
        Node(drawing.draw_scores, "page_scores", ["score_plot", "score_file"], name="draw_scores"),
        Node(
            drawing.draw_search,
            ["own_experiment", "tuning_table"],
            "search_files",
            name="draw_search_again",
        ),
        Node(
            drawing.draw_gallery,
            ["test_detections", *pages, "page_scores", "raw_receipts"],
            ["gallery", "gallery_file"],
            name="draw_gallery",
        ),
        Node(
            drawing.draw_worst,
            ["worst_detections", *pages, "raw_receipts"],
            ["worst_pages", "worst_pages_file"],
            name="draw_worst_pages",
        ),
    ]


def _write() -> list[Node]:
    return [
        Node(
            nodes.write_report,
            [SETTINGS, "report_results", "worst_detections"],
            "report",
            name="write_report",
        ),
        Node(nodes.write_page, [SETTINGS, "report", *FILES], "report_page", name="write_page"),
    ]
