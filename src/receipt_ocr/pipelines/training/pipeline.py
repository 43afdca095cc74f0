"""Wiring of the training stage: one fold, or all of them as namespaces of one graph."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.training.nodes import (
    fold_selector,
    predict_holdout,
    predict_out_of_fold,
    predict_test,
    select_fold,
    train_detector,
)
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_fold_pipeline", "create_pipeline"]

SHARED_INPUTS = {"pages", "words", "folds", "raw_receipts"}
RESULTS = ("checkpoint", "history", "out_of_fold_maps", "holdout_maps", "test_maps")


def create_fold_pipeline(**_: Any) -> Pipeline:
    """The fold that the parameter ``fold`` names."""
    select = Node(select_fold, ["folds", "params:fold"], "split", name="select_fold")
    return Pipeline([select, *_nodes()])


def create_pipeline(**_: Any) -> Pipeline:
    """All folds, over the same files as :func:`create_fold_pipeline`."""
    return sum((_one_fold(fold) for fold in range(FOLD_COUNT)), Pipeline([]))


def _one_fold(fold: int) -> Pipeline:
    select = Node(fold_selector(fold), "folds", "split", name="select_fold")
    return Pipeline(
        [select, *_nodes()],
        namespace=f"fold_{fold}",
        inputs=SHARED_INPUTS,
        outputs={name: f"fold_{fold}_{name}" for name in RESULTS},
        parameters={"params:experiments"},
    )


def _nodes() -> list[Node]:
    recipe, pages, images = "params:experiments", "pages", "raw_receipts"
    return [
        Node(
            train_detector,
            [recipe, "split", pages, "words", images, "work_folder"],
            ["checkpoint", "history"],
            name="train_detector",
        ),
        Node(
            predict_out_of_fold,
            ["checkpoint", recipe, "split", pages, images],
            "out_of_fold_maps",
            name="predict_out_of_fold",
        ),
        Node(
            predict_holdout,
            ["checkpoint", recipe, pages, images],
            "holdout_maps",
            name="predict_holdout",
        ),
        Node(
            predict_test,
            ["checkpoint", recipe, pages, images],
            "test_maps",
            name="predict_test",
        ),
    ]
