"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.receipts.settings import FOLD_COUNT

if TYPE_CHECKING:
    from receipt_ocr.decoding.maps import LazyMaps
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    LazyMaps = Any

__all__ = [
    "check_members",
    "choose_postprocess",
    "detect_words",
    "join_tables",
    "score_members",
    "score_out_of_fold",
    "vote",
]

log = logging.getLogger(__name__)


def check_members(
    ensemble: EnsembleSettings, folds: pd.DataFrame, pages: pd.DataFrame, *fold_maps: LazyMaps
) -> dict[str, Any]:
    """Who votes; fails where a member's maps are missing or not of today's pages and folds.

    The maps come fold by fold: out of fold first, then of the holdout, then of the test pages.
    """
    from receipt_ocr.decoding.ensemble import check_member

    kinds = {"out_of_fold": fold_maps[:FOLD_COUNT], "holdout": fold_maps[FOLD_COUNT:-FOLD_COUNT]}
    kinds["test"] = fold_maps[-FOLD_COUNT:]
    known = {kind: pages.loc[pages["subset"] == kind, "page"].tolist() for kind in kinds}
    sources = {}
    for fold in ensemble.folds:
        own = folds.loc[folds["fold"] == fold, "page"].tolist()
        maps = {kind: of_folds[fold] for kind, of_folds in kinds.items()}
        sources[fold] = check_member(f"fold_{fold}", maps, {**known, "out_of_fold": own})
    return {"folds": list(ensemble.folds), "weights": ensemble.weights, "sources": sources}


def choose_postprocess(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: dict[str, Any],
    tuned: dict[str, Any] | None,
) -> dict[str, Any]:
    """The post-processing that maps are read with, where it comes from, and who votes."""
    from receipt_ocr.decoding.tuned import choose_postprocess as choose

    recipe = experiments.chosen.postprocess
    source, settings = choose(ensemble.thresholds, recipe, tuned, members["sources"])
    log.info("Post-processing (%s): %s", source, settings)
    return {"source": source, "postprocess": settings.model_dump(mode="json"), "members": members}


def vote(ensemble: EnsembleSettings, members: dict[str, Any], *fold_maps: LazyMaps) -> object:
    """Mean map of the members (checked before), page by page when it is saved."""
    from receipt_ocr.decoding.ensemble import vote as average

    voters = {f"fold_{fold}": fold_maps[fold] for fold in members["folds"]}
    return average(voters, ensemble.weights)


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
    rows = [
        tabulate_pages(member, subset, score_maps(maps, truths, settings))
        for member, maps in members.items()
    ]
    return pd.concat(rows, ignore_index=True)
