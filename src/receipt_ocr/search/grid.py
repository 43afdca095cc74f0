"""Tune the post-processing on stored maps: every combination of the grid's values."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.search.page_scoring import TIE, Point
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.settings import GridSettings


@dataclass(frozen=True)
class SearchResult:
    """Outcome of a search over post-processing settings."""

    rows: tuple[dict[str, float], ...]
    """For every point the settings tried, and the page means ``recall, precision, hmean``."""
    best: PostprocessSettings
    """The settings with the highest page-mean H-mean over all pages."""
    chosen_hmean: float
    """Their H-mean on the pages that chose them: too good, as some settings fit by luck."""
    cross_fitted_hmean: float | None
    """Page mean when each fold is scored with the settings chosen on the other folds: the honest
    estimate. None where there are not two folds."""
    fold_choices: dict[int, PostprocessSettings]
    """Held-out fold -> the settings chosen on the others."""


def search_grid(table: ScoreTable, settings: GridSettings) -> SearchResult:
    """Score every combination of post-processing settings on pages with known words.

    Ties go to the settings nearest to the table's base (each distance relative to the span of its
    values), then to the first in the grid. The table's scores are filled in.

    Raises:
        RuntimeError: If a process has died.
    """
    points = _list_points(settings, table.base)
    table.fill([(point, table.everywhere) for point in points], "post-processing search")
    ranked = _rank_by_distance(points, table.base)
    best = _choose(table, ranked, table.everywhere)
    choices = {fold: _choose(table, ranked, table.folds != fold) for fold in table.held_out_folds}
    return SearchResult(
        rows=tuple(table.row(point) for point in points),
        best=best.within(table.base),
        chosen_hmean=float(table.mean(best)[2]),
        cross_fitted_hmean=table.cross_fit(choices),
        fold_choices={fold: point.within(table.base) for fold, point in choices.items()},
    )


def _list_points(settings: GridSettings, base: PostprocessSettings) -> list[Point]:
    """The grid, the last setting running fastest."""
    sizes = settings.min_size or (base.min_size,)
    axes = [getattr(settings, name) for name in Point._fields[:-1]]
    return [Point._make(values) for values in product(*axes, sizes)]


def _rank_by_distance(points: list[Point], base: PostprocessSettings) -> list[Point]:
    """The points by their distance from the base settings, then by their place in the grid."""
    values = np.array(points, dtype=np.float64)
    span = np.ptp(values, axis=0)
    span[span == 0.0] = 1.0
    centre = np.array(Point.of(base), dtype=np.float64)
    order = np.argsort((np.abs(values - centre) / span).sum(axis=1), kind="stable")
    return [points[place] for place in order]


def _choose(table: ScoreTable, ranked: list[Point], is_included: NDArray[np.bool_]) -> Point:
    """The best point on the included pages; among equals the first."""
    hmeans = np.array([table.mean(point, is_included)[2] for point in ranked])
    return ranked[int(np.argmax(hmeans >= hmeans.max() - TIE))]
