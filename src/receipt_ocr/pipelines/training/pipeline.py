"""Wiring of the training stage: one fold, or all of them as namespaces of one graph."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.identity import fold_name
from receipt_ocr.pipelines.training import nodes
from receipt_ocr.receipts.settings import FOLD_COUNT

RECIPE, TTA = "params:experiments", "params:test_time"
SHARED_INPUTS = {"pages", "words", "folds", "raw_receipts"}
TRAINED = ("checkpoint", "history", "training_record")
RESULTS = (*TRAINED, "out_of_fold_maps", "holdout_maps", "test_maps")


def create_fold_pipeline() -> Pipeline:
    """The fold that the parameter ``fold`` names."""
    return Pipeline([_select(), _train(), *_predict()])


def create_prediction_pipeline() -> Pipeline:
    """The maps alone of the fold that ``fold`` names, which was trained before."""
    return Pipeline([_select(), *_predict()])


def create_pipeline() -> Pipeline:
    """All folds, over the same files as :func:`create_fold_pipeline`."""
    return sum((_one_fold(fold) for fold in range(FOLD_COUNT)), Pipeline([]))


def _one_fold(fold: int) -> Pipeline:
    select = Node(nodes.fold_selector(fold), "folds", "split", name="select_fold")
    return Pipeline(
        [select, _train(), *_predict()],
        namespace=fold_name(fold),
        inputs=SHARED_INPUTS,
        outputs={name: f"{fold_name(fold)}_{name}" for name in RESULTS},
        parameters={RECIPE, TTA},
    )


def _select() -> Node:
    return Node(nodes.select_fold, ["folds", "params:fold"], "split", name="select_fold")


def _train() -> Node:
    inputs = [RECIPE, "split", "pages", "words", "raw_receipts", "work_folder"]
    return Node(nodes.train_detector, inputs, list(TRAINED), name="train_detector")


def _predict() -> list[Node]:
    detector, images = ["checkpoint", RECIPE, TTA], ["pages", "raw_receipts"]
    of_split, of_subset = [*detector, "split", *images], [*detector, *images]
    return [
        Node(nodes.predict_out_of_fold, of_split, "out_of_fold_maps", name="predict_out_of_fold"),
        Node(nodes.predict_subset("holdout"), of_subset, "holdout_maps", name="predict_holdout"),
        Node(nodes.predict_subset("test"), of_subset, "test_maps", name="predict_test"),
    ]
