"""Nodes of the tuning stage."""

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, GridSettings
from receipt_ocr.detector.settings import Experiments

if TYPE_CHECKING:
    from receipt_ocr.decoding.maps import LazyMaps
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    LazyMaps = Any

__all__ = ["tune_postprocess"]

log = logging.getLogger(__name__)


def tune_postprocess(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    tuning: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    folds: pd.DataFrame,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    *fold_maps: LazyMaps,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Search the grid on the members' out-of-fold maps: the best settings, and every point."""
    from receipt_ocr.decoding.ensemble import check_member
    from receipt_ocr.decoding.tuned import tune_postprocess as tune
    from receipt_ocr.evaluation.scores import prepare_truths

    members = {fold: fold_maps[fold] for fold in ensemble.folds}
    for fold, maps in members.items():
        own = {"out_of_fold": folds.loc[folds["fold"] == fold, "page"].tolist()}
        check_member(f"fold_{fold}", {"out_of_fold": maps}, own)
    judged = [page for maps in members.values() for page in maps]
    truths = prepare_truths(pages, words, "train", judged)
    tuned, result = tune(members, truths, tuning, experiments.chosen.postprocess)
    log.info("Tuned on %d out-of-fold pages: %s", tuned.pages, tuned)
    return tuned.model_dump(mode="json"), pd.DataFrame(list(result.rows))
