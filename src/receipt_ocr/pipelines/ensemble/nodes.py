"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.detector.settings import Experiments

if TYPE_CHECKING:
    from receipt_ocr.decoding.maps import ProbabilityMap
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    ProbabilityMap = Any

__all__ = [
    "choose_postprocess",
    "detect_words",
    "join_tables",
    "score_members",
    "score_out_of_fold",
    "vote",
]

log = logging.getLogger(__name__)

LazyMaps = Mapping[str, Callable[[], ProbabilityMap]]


def choose_postprocess(
    ensemble: EnsembleSettings, experiments: Experiments, tuned: dict[str, Any] | None
) -> dict[str, Any]:
    """The post-processing that maps are read with, and where it comes from."""
    recipe = experiments.chosen.postprocess
    if ensemble.thresholds == "recipe" or (tuned is None and ensemble.thresholds == "auto"):
        log.info("Post-processing of the recipe: %s", recipe)
        return {"source": "recipe", "postprocess": recipe.model_dump(mode="json")}
    if tuned is None:
        raise FileNotFoundError(
            "ensemble.thresholds is 'tuned', but nothing was tuned for experiment "
            f"{experiments.selected!r}; run kedro run --pipeline=tuning first"
        )
    if set(tuned["members"]) != set(ensemble.folds):
        log.warning(
            "Post-processing was tuned on folds %s, the ensemble's are %s: run tuning again",
            tuned["members"],
            list(ensemble.folds),
        )
    log.info("Tuned post-processing: %s", tuned["postprocess"])
    return {"source": "tuned", "postprocess": tuned["postprocess"]}


def vote(ensemble: EnsembleSettings, *fold_maps: LazyMaps) -> LazyMaps:
    """Mean map of the members, page by page when it is saved."""
    from receipt_ocr.decoding.ensemble import vote as average

    members = {f"fold_{fold}": fold_maps[fold] for fold in ensemble.folds}
    return average(members, ensemble.weights)


def detect_words(maps: LazyMaps, chosen: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Page -> polygons, flat ``[x1, y1, ...]`` in page pixels."""
    from receipt_ocr.decoding.decode import decode_maps

    settings = PostprocessSettings.model_validate(chosen["postprocess"])
    return {
        page: [polygon.ravel().tolist() for polygon in detections.polygons]
        for page, detections in decode_maps(maps, settings)
    }


def score_out_of_fold(
    ensemble: EnsembleSettings,
    chosen: dict[str, Any],
    pages: pd.DataFrame,
    words: pd.DataFrame,
    *fold_maps: LazyMaps,
) -> pd.DataFrame:
    """Every member on its own validation pages, a row a page."""
    members = {f"fold_{fold}": fold_maps[fold] for fold in ensemble.folds}
    return _score("out_of_fold", "train", members, chosen, (pages, words))


def score_members(subset: str) -> Callable[..., pd.DataFrame]:
    """A node that scores every member and the ensemble on one subset, a row a page."""

    def score(
        ensemble: EnsembleSettings,
        chosen: dict[str, Any],
        pages: pd.DataFrame,
        words: pd.DataFrame,
        ensemble_maps: LazyMaps,
        *fold_maps: LazyMaps,
    ) -> pd.DataFrame:
        members = {f"fold_{fold}": fold_maps[fold] for fold in ensemble.folds}
        members["ensemble"] = ensemble_maps
        return _score(subset, subset, members, chosen, (pages, words))

    return score


def join_tables(*page_scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scored pages, and one row a member and subset."""
    from receipt_ocr.evaluation.scores import tabulate_scores

    joined = pd.concat(page_scores, ignore_index=True)
    scores = tabulate_scores(joined)
    log.info("Scores:\n%s", scores.to_string(index=False, float_format="%.4f"))
    return joined, scores


def _score(
    subset: str,
    truth_subset: str,
    members: Mapping[str, LazyMaps],
    chosen: dict[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> pd.DataFrame:
    from receipt_ocr.decoding.decode import score_maps
    from receipt_ocr.evaluation.scores import prepare_truths, tabulate_pages

    settings = PostprocessSettings.model_validate(chosen["postprocess"])
    truths = prepare_truths(*tables, truth_subset)
    rows = []
    for member, maps in members.items():
        # Of the train pages a member holds its own fold's only; of the others it must hold all.
        if subset == truth_subset and (lacking := sorted(set(truths) - set(maps))):
            raise ValueError(
                f"{member} has no map of {subset} page {lacking[0]!r} ({len(lacking)} such pages): "
                "the data has changed since its training; train it again"
            )
        rows.append(tabulate_pages(member, subset, score_maps(maps, truths, settings)))
    return pd.concat(rows, ignore_index=True)
