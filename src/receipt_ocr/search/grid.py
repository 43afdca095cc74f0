"""Tuning the post-processing on stored maps, with an honest estimate of what it gains."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.search.page_scoring import (
    TIE,
    Point,
    check_pages,
    list_tasks,
    score_page,
    tabulate_point,
)
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.search.workers import PageWorkers

__all__ = ["GridResult", "GridSettings", "search_grid"]


@dataclass(frozen=True)
class GridResult:
    """What a search over post-processing settings found."""

    rows: tuple[dict[str, float], ...]
    """For every point the settings tried, and the page means ``recall, precision, hmean``."""
    best: PostprocessSettings
    """The settings with the highest page-mean H-mean over all pages."""
    chosen_hmean: float
    """Their H-mean on the pages they were chosen on: too good by ``optimism``."""
    honest_hmean: float | None
    """Page mean when each fold is scored with the settings chosen on the other folds; None where
    there are not two folds."""
    fold_choices: dict[int, PostprocessSettings]
    """Held-out fold -> the settings chosen on the others."""

    @property
    def optimism(self) -> float | None:
        """How much choosing on the scored pages flatters the score."""
        return None if self.honest_hmean is None else self.chosen_hmean - self.honest_hmean


def search_grid(
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    settings: GridSettings,
    base: PostprocessSettings,
    groups: Mapping[str, int] | None = None,
) -> GridResult:
    """Score every combination of post-processing settings on pages with known words.

    Ties go to the settings nearest to ``base`` (each distance relative to the span of its
    values), then to the first in the grid.

    Args:
        maps: Page -> a function that loads its out-of-fold map.
        truths: Page -> its true words, prepared with the variant of the score to use.
        settings: The values to try and the number of processes.
        base: Everything that is not tuned, and the settings that win ties.
        groups: Page -> its fold, for the honest estimate.

    Raises:
        ValueError: If there are no pages, the three name different pages, or Ray is asked for but
            cannot be reached.
        RuntimeError: If a process has died.
    """
    check_pages(maps, truths, groups)
    if settings.min_size is None:
        settings = settings.model_copy(update={"min_size": (base.min_size,)})
    points = _list_points(settings)
    score = partial(score_page, points=points, base=base)
    with PageWorkers(settings.workers, settings.ray) as crew:
        by_page = dict(crew.map(score, list_tasks(maps, truths), "post-processing search"))
    pages = sorted(maps)
    scores = np.stack([by_page[page] for page in pages])  # (pages, points, 3)
    means = scores.mean(axis=0)
    preferred = _order_of_preference(points, base)
    best = _choose(means[:, 2], preferred)
    honest: float | None = None
    choices: dict[int, int] = {}
    folds = np.array([0 if groups is None else groups[page] for page in pages])
    if len(set(folds.tolist())) > 1:
        honest, choices = _estimate_honestly(scores[:, :, 2], folds, preferred)
    return GridResult(
        rows=tuple(tabulate_point(point, mean) for point, mean in zip(points, means, strict=True)),
        best=points[best].within(base),
        chosen_hmean=float(means[best, 2]),
        honest_hmean=honest,
        fold_choices={fold: points[index].within(base) for fold, index in choices.items()},
    )


def _list_points(settings: GridSettings) -> list[Point]:
    """The grid, the last setting running fastest."""
    axes = [getattr(settings, name) for name in Point._fields]
    return [Point._make(values) for values in product(*axes)]


def _order_of_preference(points: list[Point], base: PostprocessSettings) -> NDArray[np.intp]:
    """The points by their distance from the base settings, then by their place in the grid."""
    values = np.array(points, dtype=np.float64)
    span = np.ptp(values, axis=0)
    span[span == 0.0] = 1.0
    centre = np.array([getattr(base, key) for key in Point._fields], dtype=np.float64)
    return np.argsort((np.abs(values - centre) / span).sum(axis=1), kind="stable")


def _choose(hmeans: NDArray[np.float64], preferred: NDArray[np.intp]) -> int:
    """The best point; among equals the most preferred."""
    is_best = hmeans >= hmeans.max() - TIE
    return int(preferred[is_best[preferred]][0])


def _estimate_honestly(
    hmeans: NDArray[np.float64], folds: NDArray[np.int64], preferred: NDArray[np.intp]
) -> tuple[float, dict[int, int]]:
    """Score each fold at the point chosen on the other folds.

    Args:
        hmeans: (pages, points).
        folds: (pages,) the fold of each page, two different ones at least.
        preferred: (points,) which point wins a tie.

    Returns:
        The page mean, and the point chosen for each held-out fold.
    """
    choices: dict[int, int] = {}
    held_out = np.empty(len(folds))
    for fold in sorted(set(folds.tolist())):
        is_held_out = folds == fold
        choices[fold] = _choose(hmeans[~is_held_out].mean(axis=0), preferred)
        held_out[is_held_out] = hmeans[is_held_out, choices[fold]]
    return float(held_out.mean()), choices
