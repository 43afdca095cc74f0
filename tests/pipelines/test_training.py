"""The training stage's graph and its selection of folds."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

from receipt_ocr.detector.checkpoint import Checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.pipelines.training import (
    create_fold_pipeline,
    create_pipeline,
    create_prediction_pipeline,
)
from receipt_ocr.pipelines.training.nodes import fold_selector, select_fold
from receipt_ocr.pipelines.training.tracking import log_training, record_training
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.training.result import TrainingResult

TRAINED = {"checkpoint", "history", "training_record"}
RESULTS = TRAINED | {"out_of_fold_maps", "holdout_maps", "test_maps"}
TABLES = {"folds", "pages", "words", "raw_receipts"}
SETTINGS = {"params:experiments", "params:test_time", "params:fold"}


@pytest.fixture
def folds() -> pd.DataFrame:
    return pd.DataFrame({"page": ["a", "b", "c", "d", "e", "f"], "fold": [0, 1, 2, 3, 4, 0]})


def test_a_fold_is_judged_by_its_own_pages_and_trains_on_the_others(folds: pd.DataFrame) -> None:
    expected = {"training": ["b", "c", "d", "e"], "validation": ["a", "f"]}
    assert select_fold(folds, 0) == expected
    assert fold_selector(0)(folds) == expected
    judged = [page for fold in range(FOLD_COUNT) for page in select_fold(folds, fold)["validation"]]
    assert sorted(judged) == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize("fold", [-1, 5, 1.0, "0", True, None])
def test_a_fold_that_does_not_exist_is_named(folds: pd.DataFrame, fold: object) -> None:
    with pytest.raises(ValueError, match=r"fold must be a whole number from 0 to 4, got"):
        select_fold(folds, fold)  # type: ignore[arg-type]


def test_the_folds_are_namespaces_of_one_graph() -> None:
    pipeline = create_pipeline()
    namespaces = {node.namespace for node in pipeline.nodes}
    assert namespaces == {f"fold_{fold}" for fold in range(5)}
    per_fold = len(create_fold_pipeline().nodes)
    assert len(pipeline.nodes) == 5 * per_fold
    work_folders = {f"fold_{fold}.work_folder" for fold in range(5)}
    assert pipeline.inputs() == TABLES | work_folders | {"params:experiments", "params:test_time"}
    assert pipeline.outputs() <= {f"fold_{fold}_{name}" for fold in range(5) for name in RESULTS}


def test_one_fold_makes_what_all_folds_make_for_each() -> None:
    pipeline = create_fold_pipeline()
    assert pipeline.inputs() == TABLES | SETTINGS | {"work_folder"}
    assert pipeline.all_outputs() == RESULTS | {"split"}
    again = create_prediction_pipeline()  # of maps, without training
    assert again.inputs() == TABLES - {"words"} | SETTINGS | {"checkpoint"}
    assert again.all_outputs() == RESULTS - TRAINED | {"split"}


def make_checkpoint(*seconds: float) -> Checkpoint:
    """A checkpoint of 3 * 4 + 5 trained numbers, and statistics; some of its epochs were timed."""
    state = {
        "encoder.weight": torch.zeros(3, 4),
        "encoder.norm.running_mean": torch.zeros(4),
        "head.bias": torch.zeros(5),
    }
    scores = ((0.0, 0.5, 0.4, 0.6), (1.0, 0.9, 0.8, 0.7), (2.0, 0.8, 0.7, 0.6))
    names = ("epoch", "hmean", "precision", "recall")
    history = [dict(zip(names, row, strict=True)) for row in scores]
    for row, spent in zip(history, seconds, strict=False):
        row["seconds"] = spent
    return Checkpoint(source="best.ckpt", recipe=Recipe(), state=state, epoch=1, history=history)


def end(stopped_by: str) -> TrainingResult:
    return TrainingResult(Path("best.ckpt"), 1, 0.9, [], stopped_by, 0.02, 512.0)


def test_the_record_of_a_training_says_what_a_report_needs() -> None:
    record = record_training(make_checkpoint(10.0, 20.0, 30.5), end("patience of 1 epochs"))
    assert (record.best_epoch, record.epochs, record.seconds) == (1, 3, 60.5)
    assert (record.precision, record.recall, record.hmean) == (0.8, 0.7, 0.9)
    assert record.stopped_by == "patience of 1 epochs"
    assert record.parameters == {"encoder": 12, "head": 5}
    assert (record.inference_seconds_per_page, record.peak_memory_mib) == (0.02, 512.0)
    assert record.checkpoint_bytes == 4 * (12 + 4 + 5)
    # An earlier version began the training and did not time it.
    assert record_training(make_checkpoint(10.0), end("3 epochs")).seconds is None


def test_a_run_shows_its_training_as_columns(tracking_uri: str) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    client = mlflow.MlflowClient(tracking_uri)
    run = client.create_run(client.create_experiment("receipts")).info.run_id
    log_training(run, record_training(make_checkpoint(10.0), end("3 epochs")))
    data = client.get_run(run).data
    assert data.metrics == {
        "val_hmean": 0.9,
        "val_precision": 0.8,
        "val_recall": 0.7,
        "best_epoch": 1.0,
        "epochs": 3.0,
        "parameters": 17.0,
        "checkpoint_mib": 84 / 2**20,
    }
    assert data.tags["stopped_by"] == "3 epochs"
