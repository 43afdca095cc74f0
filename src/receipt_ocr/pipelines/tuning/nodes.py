"""Nodes of the tuning stage."""

import logging

import pandas as pd

from receipt_ocr.decoding.maps import MemberMaps
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.records import NoRecord, TunedPostprocess
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.tracking.runs import log_active

log = logging.getLogger(__name__)

FIGURES = ("recipe_hmean", "chosen_hmean", "cross_fitted_hmean")  # columns in MLflow


def tune_out_of_fold(
    grid: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    voters: MemberMaps,
    weights: list[float],
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> tuple[TunedPostprocess, pd.DataFrame]:
    """Search on the members' out-of-fold maps: the best settings, and every point tried."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.search import tuning

    judged = [page for maps in voters.maps["out_of_fold"].values() for page in maps]
    truths = prepare_truths(pages, words, "train", judged)
    recipe = experiments.chosen.postprocess
    found, rows = tuning.tune_out_of_fold(voters, truths, grid, ensemble, recipe, weights)
    log.info("Tuned on %d out-of-fold pages: %s", found.pages, found)
    log_active({name: getattr(found, name) for name in FIGURES})
    return found, pd.DataFrame(rows)


def tune_on_holdout(
    grid: GridSettings,
    ensemble: EnsembleSettings,
    experiments: Experiments,
    voters: MemberMaps,
    weights: list[float],
    tuned: TunedPostprocess,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> tuple[TunedPostprocess | NoRecord, pd.DataFrame]:
    """Search on the ensemble's maps of the holdout pages; no record where there is no holdout."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.search import tuning

    truths = prepare_truths(pages, words, "holdout")
    if not truths:
        return NoRecord(), pd.DataFrame(columns=["hmean"])
    settings = (grid, ensemble, experiments.chosen.postprocess)
    found, rows = tuning.tune_on_holdout(voters, truths, *settings, weights, tuned.postprocess)
    log.info("Tuned the ensemble on %d holdout pages: %s", found.pages, found)
    return found, pd.DataFrame(rows)


def draw_search(tuned: TunedPostprocess, table: pd.DataFrame) -> tuple[object, object]:
    """Heat maps and precision/recall of all points, as Matplotlib figures."""
    from receipt_ocr.pictures.search_plots import plot_precision_recall, plot_search

    content = tuned.model_dump(mode="json")
    best = content["postprocess"]
    return plot_search(table, best, content["sensitivity"]), plot_precision_recall(table, best)
