"""Wiring of the tuning stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.tuning.nodes import tune_postprocess
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline"]


def create_pipeline(**_: Any) -> Pipeline:
    """Search on the out-of-fold maps of every member."""
    maps = [f"fold_{fold}_out_of_fold_maps" for fold in range(FOLD_COUNT)]
    settings = ["params:tuning", "params:ensemble", "params:experiments"]
    return Pipeline(
        [
            Node(
                tune_postprocess,
                [*settings, "folds", "pages", "words", *maps],
                ["tuned_postprocess", "tuning_table"],
                name="tune_postprocess",
            )
        ]
    )
