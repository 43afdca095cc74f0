"""Nodes of the final fit."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.receipts.settings import IngestionSettings
from receipt_ocr.training.settings import FinalFitSettings

if TYPE_CHECKING:
    from receipt_ocr.detector.checkpoint import Checkpoint
    from receipt_ocr.training.work_folder import WorkFolder
else:  # Kedro reads the signatures to check parameters: names must exist, torch need not
    Checkpoint = WorkFolder = Any

__all__ = ["choose_epochs", "choose_postprocess", "train_final"]

log = logging.getLogger(__name__)


def choose_epochs(
    settings: FinalFitSettings, experiments: Experiments, *histories: pd.DataFrame | None
) -> dict[str, Any]:
    """How many epochs to train, and the best epoch of each fold that says so."""
    from receipt_ocr.training.history import epochs_of_peaks

    peaks = {
        f"fold_{fold}": int(history["epoch"].to_numpy()[history["hmean"].to_numpy().argmax()])
        for fold, history in enumerate(histories)
        if history is not None
    }
    if settings.epochs is None and not peaks:
        raise ValueError(
            f"no fold of {experiments.selected} has been trained that could say for how many "
            "epochs; train folds first, or set final_fit.epochs"
        )
    return {"epochs": settings.epochs or epochs_of_peaks(list(peaks.values())), "peaks": peaks}


def train_final(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    experiments: Experiments,
    settings: FinalFitSettings,
    ingestion: IngestionSettings,
    final_epochs: dict[str, Any],
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
    final_work_folder: WorkFolder,
) -> tuple[Checkpoint, pd.DataFrame]:
    """Train on all labelled pages; the last epoch's checkpoint and the history."""
    from receipt_ocr.detector.checkpoint import read_checkpoint
    from receipt_ocr.pipelines.training.tracking import mlflow_logger
    from receipt_ocr.receipts.labelled_pages import gather_labelled, read_further
    from receipt_ocr.storage.cache import local_copy
    from receipt_ocr.tracking.runs import fold_run
    from receipt_ocr.training.loop import train_detector

    labelled = gather_labelled(pages, words, raw_receipts, with_holdout=settings.holdout)
    for data in settings.further:
        folder = local_copy(data.folder)
        labelled += read_further(folder, data.subset, data.weight, ingestion)
    recipe = experiments.chosen
    schedule = recipe.training.model_copy(update={"epochs": final_epochs["epochs"]})
    recipe = recipe.model_copy(update={"training": schedule})
    with fold_run(final_work_folder.name, experiments.selected) as run_id:
        result = train_detector(recipe, labelled, [], final_work_folder, mlflow_logger(run_id))
    return read_checkpoint(result.checkpoint), pd.DataFrame(result.history)


def choose_postprocess(
    settings: FinalFitSettings, experiments: Experiments, tuned: dict[str, Any] | None
) -> dict[str, Any]:
    """The post-processing that the test maps are read with, and where it comes from.

    No labelled page is left to tune on: what was tuned on the folds' out-of-fold maps is the
    nearest there is.
    """
    from receipt_ocr.search.tuned import choose_postprocess as choose

    recipe = experiments.chosen.postprocess
    source, chosen = choose(settings.thresholds, recipe, tuned, None)
    log.info("Post-processing (%s): %s", source, chosen)
    return {"source": source, "postprocess": chosen.model_dump(mode="json")}
