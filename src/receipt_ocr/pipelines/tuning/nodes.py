"""Nodes of the tuning stage."""

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.search.settings import GridSettings

if TYPE_CHECKING:
    from receipt_ocr.decoding.maps import MemberMaps
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    MemberMaps = Any

__all__ = ["draw_search", "tune_on_holdout", "tune_out_of_fold"]

TUNED_FIGURES = ("recipe_hmean", "chosen_hmean", "cross_fitted_hmean")
"""What a search comes to, as columns in MLflow."""

log = logging.getLogger(__name__)


def tune_out_of_fold(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    tuning: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: MemberMaps,
    weights: list[float],
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Search on the members' out-of-fold maps: the best settings, and every point tried."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.search.tuning import tune_out_of_fold as tune
    from receipt_ocr.tracking.runs import log_active

    judged = [page for maps in members.maps["out_of_fold"].values() for page in maps]
    truths = prepare_truths(pages, words, "train", judged)
    recipe = experiments.chosen.postprocess
    tuned, rows = tune(members, truths, tuning, ensemble, recipe, weights)
    log.info("Tuned on %d out-of-fold pages: %s", tuned.pages, tuned)
    log_active({name: getattr(tuned, name) for name in TUNED_FIGURES})
    return tuned.model_dump(mode="json"), pd.DataFrame(rows)


def tune_on_holdout(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    tuning: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: MemberMaps,
    weights: list[float],
    tuned: dict[str, Any],
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The same search on the ensemble's maps of the holdout pages; empty where there is none."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.decoding.settings import PostprocessSettings
    from receipt_ocr.search.tuning import tune_on_holdout as tune

    truths = prepare_truths(pages, words, "holdout")
    if not truths:
        return {}, pd.DataFrame(columns=["hmean"])
    recipe = experiments.chosen.postprocess
    transferred = PostprocessSettings.model_validate(tuned["postprocess"])
    found, rows = tune(members, truths, tuning, ensemble, recipe, weights, transferred)
    log.info("Tuned the ensemble on %d holdout pages: %s", found.pages, found)
    return found.model_dump(mode="json"), pd.DataFrame(rows)


def draw_search(tuned: dict[str, Any], table: pd.DataFrame) -> tuple[object, object]:
    """Heat maps and precision/recall of all points, as Matplotlib figures."""
    from receipt_ocr.pictures.search_plots import plot_precision_recall, plot_search

    best, sensitivity = tuned["postprocess"], tuned["sensitivity"]
    return plot_search(table, best, sensitivity), plot_precision_recall(table, best)
