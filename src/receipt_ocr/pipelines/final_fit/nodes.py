"""Nodes of the final fit."""

from pathlib import Path

import pandas as pd

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.trained import Checkpoint
from receipt_ocr.identity import fold_name
from receipt_ocr.pipelines.training.tracking import mlflow_logger
from receipt_ocr.receipts.settings import IngestionSettings
from receipt_ocr.records import ChosenPostprocess, FinalEpochs, TunedPostprocess
from receipt_ocr.search.choice import choose_postprocess
from receipt_ocr.storage.cache import local_copy
from receipt_ocr.tracking.runs import fold_run
from receipt_ocr.training.final_fit import choose_epochs
from receipt_ocr.training.settings import FinalFitSettings
from receipt_ocr.training.work_folder import WorkFolder


def pick_epochs(
    settings: FinalFitSettings, experiments: Experiments, *histories: pd.DataFrame | None
) -> FinalEpochs:
    """Choose how many epochs to train, and note the best epoch of each fold that says so."""
    by_fold = {fold_name(fold): history for fold, history in enumerate(histories)}
    return choose_epochs(settings.epochs, by_fold, experiments.selected)


def train_final(
    experiments: Experiments,
    settings: FinalFitSettings,
    ingestion: IngestionSettings,
    final_epochs: FinalEpochs,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
    final_work_folder: WorkFolder,
) -> tuple[Checkpoint, pd.DataFrame]:
    """Train on all labelled pages; the last epoch's checkpoint and the history."""
    from receipt_ocr.detector.checkpoint import read_checkpoint
    from receipt_ocr.receipts.labelled_pages import gather_labelled, read_further
    from receipt_ocr.training import loop

    labelled = gather_labelled(pages, words, raw_receipts, with_holdout=settings.holdout)
    for data in settings.further:
        labelled += read_further(local_copy(data.folder), data.subset, data.weight, ingestion)
    recipe = experiments.chosen
    schedule = recipe.training.model_copy(update={"epochs": final_epochs.epochs})
    recipe = recipe.model_copy(update={"training": schedule})
    with fold_run(final_work_folder.path.name, experiments.selected) as run_id:
        result = loop.train_detector(recipe, labelled, [], final_work_folder, mlflow_logger(run_id))
    return read_checkpoint(result.checkpoint), pd.DataFrame(result.history)


def pick_postprocess(
    settings: FinalFitSettings, experiments: Experiments, tuned: TunedPostprocess | None
) -> ChosenPostprocess:
    """Choose the post-processing that the test maps are read with."""
    # No labelled page is left to tune on: what was tuned out of fold is the nearest there is.
    return choose_postprocess(settings.thresholds, experiments.chosen.postprocess, None, tuned)
