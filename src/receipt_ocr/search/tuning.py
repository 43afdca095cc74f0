"""Tuning the post-processing of an ensemble: out of fold, and on its own maps of the holdout."""

from collections.abc import Mapping

from receipt_ocr.decoding.decode import score_maps
from receipt_ocr.decoding.ensemble import vote, vote_where_known
from receipt_ocr.decoding.maps import LoadMap, MemberMaps
from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, score_pages
from receipt_ocr.records import TunedPostprocess
from receipt_ocr.search.grid import search_grid
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.sensitivity import measure_sensitivity
from receipt_ocr.search.settings import GridSettings

Search = tuple[TunedPostprocess, list[dict[str, float]]]
"""The settings found, and a row for every point that was tried."""


def tune_out_of_fold(  # noqa: PLR0913, PLR0917  # what a search rests on
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    ensemble: EnsembleSettings,
    recipe: PostprocessSettings,
    weights: list[float],
) -> Search:
    """Search on maps of pages that their detectors have not trained on.

    Where members of several experiments know a page out of fold, the mean of their maps is
    searched.

    Args:
        members: With their out-of-fold maps.
        truths: Page -> its words.
        grid: Settings to try.
        ensemble: How maps are averaged.
        recipe: What is not tried, and the settings that win ties.
        weights: One a member.

    Raises:
        ValueError: If there are no pages with a truth.
    """
    own = members.maps["out_of_fold"]
    folds = {page: members.folds[name] for name, maps in own.items() for page in maps}
    shares = dict(zip(members.names, weights, strict=True))
    maps = vote_where_known(own, ensemble.mean, shares)
    found, rows = _search(members, maps, truths, grid, recipe, folds)
    voting = {"mean": ensemble.mean, "weights": tuple(weights)}
    return found.model_copy(update=voting), rows


def tune_on_holdout(  # noqa: PLR0913, PLR0917  # what a search rests on
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    ensemble: EnsembleSettings,
    recipe: PostprocessSettings,
    weights: list[float],
    tuned: PostprocessSettings,
) -> Search:
    """Search on the ensemble's own maps of the holdout pages.

    Maps of one detector are sharper than a mean of several: thresholds tuned out of fold may not
    be the ensemble's best. Members and truths are those of the holdout, the other arguments as
    for :func:`tune_out_of_fold`. The score of the settings ``tuned`` out of fold is noted too.

    Raises:
        ValueError: If there are no pages with a truth.
    """
    maps = vote(members.maps["holdout"], weights, ensemble.mean)
    found, rows = _search(members, maps, truths, grid, recipe, None)
    voting = {"mean": ensemble.mean, "weights": tuple(weights)}
    transferred = {"transferred_hmean": _score(maps, truths, tuned)}
    return found.model_copy(update=voting | transferred), rows


def _search(  # noqa: PLR0913, PLR0917  # what a search rests on
    members: MemberMaps,
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    recipe: PostprocessSettings,
    folds: Mapping[str, int] | None,
) -> Search:
    # Pages without a truth, and those that only members of weight 0 know, take no part.
    maps = {page: load for page, load in maps.items() if page in truths}
    truths = {page: truths[page] for page in maps}
    folds = None if folds is None else {page: folds[page] for page in maps}
    with ScoreTable(maps, truths, recipe, folds, grid.workers) as table:
        on_grid = result = search_grid(table, grid)
        rows = list(on_grid.rows)
        if grid.refine.trials:
            from receipt_ocr.search.refinement import refine_settings  # noqa: PLC0415 (loads Optuna)

            result = refine_settings(table, grid, on_grid)
            rows += result.rows
        sensitivity = measure_sensitivity(table, result.best)
    found = TunedPostprocess(
        postprocess=result.best,
        members=tuple(members.names),
        sources=dict(members.sources),
        pages=len(maps),
        chosen_hmean=result.chosen_hmean,
        cross_fitted_hmean=result.cross_fitted_hmean,
        recipe_hmean=_score(maps, truths, recipe),
        grid_hmean=on_grid.chosen_hmean if grid.refine.trials else None,
        sensitivity=sensitivity,
    )
    return found, rows


def _score(
    maps: Mapping[str, LoadMap], truths: Mapping[str, TruthWords], settings: PostprocessSettings
) -> float:
    return score_pages(list(score_maps(maps, truths, settings).values())).hmean
