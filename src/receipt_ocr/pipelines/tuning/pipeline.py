"""Wiring of the tuning stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ensemble.nodes import gather_members, weigh_members
from receipt_ocr.pipelines.ensemble.pipeline import inputs_of_members
from receipt_ocr.pipelines.tuning.nodes import draw_search, tune_on_holdout, tune_out_of_fold

SETTINGS = ["params:tuning", "params:ensemble", "params:experiments"]
VOTERS, TABLES = ["searched_members", "searched_weights"], ["pages", "words"]
KINDS = ("out_of_fold", "holdout")
FOUND = ["tuned_postprocess", "tuning_table"]
FOUND_ON_HOLDOUT = ["holdout_postprocess", "holdout_tuning_table"]
PICTURES = ["search_plot", "precision_recall_plot"]


def create_pipeline() -> Pipeline:
    """Search on the members' out-of-fold maps, and on the ensemble's maps of the holdout."""
    members, weights = VOTERS
    gathering, weighing = inputs_of_members(*KINDS), [*SETTINGS[1:], members, *TABLES]
    searching = [*SETTINGS, *VOTERS, *TABLES]
    on_holdout = [*SETTINGS, *VOTERS, "tuned_postprocess", *TABLES]
    return Pipeline(
        [
            Node(gather_members(*KINDS), gathering, members, name="gather_searched"),
            Node(weigh_members, weighing, weights, name="weigh_searched"),
            Node(tune_out_of_fold, searching, FOUND, name="tune_out_of_fold"),
            Node(tune_on_holdout, on_holdout, FOUND_ON_HOLDOUT, name="tune_on_holdout"),
            Node(draw_search, FOUND, PICTURES, name="draw_search"),
        ],
        namespace="tuning",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
