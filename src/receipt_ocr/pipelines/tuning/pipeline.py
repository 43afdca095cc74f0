"""Wiring of the tuning stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ensemble.nodes import gather_members, weigh_members
from receipt_ocr.pipelines.ensemble.pipeline import inputs_of_members
from receipt_ocr.pipelines.tuning.nodes import draw_search, tune_on_holdout, tune_out_of_fold

__all__ = ["create_pipeline"]

SETTINGS = ["params:tuning", "params:ensemble", "params:experiments"]
TABLES = ["pages", "words"]
KINDS = ("out_of_fold", "holdout")
PICTURES = ["search_plot", "precision_recall_plot"]


def create_pipeline(**_: Any) -> Pipeline:
    """Search on the members' out-of-fold maps, and on the ensemble's maps of the holdout."""
    members, weights = "searched_members", "searched_weights"
    return Pipeline(
        [
            Node(
                gather_members(*KINDS), inputs_of_members(*KINDS), members, name="gather_searched"
            ),
            Node(
                weigh_members,
                ["params:ensemble", "params:experiments", members, *TABLES],
                weights,
                name="weigh_searched",
            ),
            Node(
                tune_out_of_fold,
                [*SETTINGS, members, weights, *TABLES],
                ["tuned_postprocess", "tuning_table"],
                name="tune_out_of_fold",
            ),
            Node(
                tune_on_holdout,
                [*SETTINGS, members, weights, "tuned_postprocess", *TABLES],
                ["holdout_postprocess", "holdout_tuning_table"],
                name="tune_on_holdout",
            ),
            Node(draw_search, ["tuned_postprocess", "tuning_table"], PICTURES, name="draw_search"),
        ],
        namespace="tuning",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
