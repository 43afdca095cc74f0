"""Nodes of the tuning stage."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, GridSettings
from receipt_ocr.detector.settings import Experiments

__all__ = ["tune_postprocess"]

log = logging.getLogger(__name__)


def tune_postprocess(
    tuning: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    *fold_maps: Mapping[str, Any],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Search the grid on the members' out-of-fold maps: the best settings, and every point."""
    from receipt_ocr.decoding.decode import score_maps
    from receipt_ocr.decoding.grid_search import search_grid
    from receipt_ocr.evaluation.cleval import score_pages
    from receipt_ocr.evaluation.scores import prepare_truths

    folds = {page: fold for fold in ensemble.folds for page in fold_maps[fold]}
    maps = {page: fold_maps[fold][page] for page, fold in folds.items()}
    truths = prepare_truths(pages, words, "train", list(folds))
    recipe = experiments.chosen.postprocess
    result = search_grid(maps, truths, tuning, recipe, folds)
    untuned = score_pages(list(score_maps(maps, truths, recipe).values()))
    tuned = {
        "postprocess": result.best.model_dump(mode="json"),
        "chosen_hmean": result.chosen_hmean,
        "honest_hmean": result.honest_hmean,
        "recipe_hmean": untuned.hmean,
        "members": list(ensemble.folds),
        "pages": len(maps),
    }
    log.info("Tuned on %d out-of-fold pages: %s", len(maps), tuned)
    return tuned, pd.DataFrame(list(result.rows))
