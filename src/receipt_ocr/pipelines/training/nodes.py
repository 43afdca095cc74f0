"""Nodes of the training stage: each adapts tables and settings to the library."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from receipt_ocr.decoding.maps import LazyMaps
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.trained import Checkpoint
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.pipelines.training.tracking import log_training, mlflow_logger, record_training
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import TrainingRecord
from receipt_ocr.tracking.runs import fold_run
from receipt_ocr.training.work_folder import WorkFolder


def select_fold(folds: pd.DataFrame, fold: int) -> dict[str, list[str]]:
    """Names of the pages that a fold trains on and is judged by."""
    if isinstance(fold, bool) or not isinstance(fold, int) or not 0 <= fold < FOLD_COUNT:
        raise ValueError(f"fold must be a whole number from 0 to {FOLD_COUNT - 1}, got {fold!r}")
    in_fold = folds["fold"] == fold
    return {
        "training": folds.loc[~in_fold, "page"].tolist(),
        "validation": folds.loc[in_fold, "page"].tolist(),
    }


def fold_selector(fold: int) -> Callable[[pd.DataFrame], dict[str, list[str]]]:
    """:func:`select_fold` of one fold, for graphs that hold several."""

    def select(folds: pd.DataFrame) -> dict[str, list[str]]:
        return select_fold(folds, fold)

    return select


def train_detector(
    experiments: Experiments,
    split: dict[str, list[str]],
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
    work_folder: WorkFolder,
) -> tuple[Checkpoint, pd.DataFrame, TrainingRecord]:
    """Train one fold; its best checkpoint, the history of its epochs, and a record of both."""
    from receipt_ocr.detector.checkpoint import read_checkpoint
    from receipt_ocr.receipts.labelled_pages import load_pages
    from receipt_ocr.training import loop

    own = pages[pages["subset"] == "train"]
    training = load_pages(own, words, raw_receipts, split["training"])
    validation = load_pages(own, words, raw_receipts, split["validation"])
    with fold_run(work_folder.path.name, experiments.selected) as run_id:
        logger = mlflow_logger(run_id)
        result = loop.train_detector(experiments.chosen, training, validation, work_folder, logger)
        best = replace(read_checkpoint(result.checkpoint), history=result.history)
        record = record_training(best, result)
        log_training(run_id, record)
    return best, pd.DataFrame(result.history), record


def predict_out_of_fold(
    checkpoint: Checkpoint,
    experiments: Experiments,
    tta: TtaVariants,
    split: dict[str, list[str]],
    pages: pd.DataFrame,
    raw_receipts: Path,
) -> LazyMaps:
    """Maps of the fold's validation pages, which its detector has not trained on."""
    own = pages[(pages["subset"] == "train") & pages["page"].isin(split["validation"])]
    return _predict(checkpoint, experiments, tta, own, raw_receipts)


def predict_subset(subset: str) -> Callable[..., LazyMaps]:
    """A node that predicts the maps of a subset's pages; none where there are no such pages."""

    def predict(
        checkpoint: Checkpoint,
        experiments: Experiments,
        tta: TtaVariants,
        pages: pd.DataFrame,
        raw_receipts: Path,
    ) -> LazyMaps:
        own = pages[pages["subset"] == subset]
        return _predict(checkpoint, experiments, tta, own, raw_receipts)

    return predict


def _predict(
    checkpoint: Checkpoint,
    experiments: Experiments,
    tta: TtaVariants,
    pages: pd.DataFrame,
    folder: Path,
) -> LazyMaps:
    from receipt_ocr.detector.inference import Detector, predict_maps

    detector = Detector.restore(checkpoint, expected=experiments.chosen, tta=tta.chosen)
    paths = {str(row.page): folder / str(row.path) for row in pages.itertuples()}
    return LazyMaps(predict_maps(detector, paths), detector.source_of(checkpoint))
