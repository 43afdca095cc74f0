"""Tuning the post-processing on stored maps, with an honest estimate of what it gains.

A page's contours and scores are found once for every ``thresh``; the words are regrown, and their
overlap with the truth is measured, once for every ``unclip_ratio`` at it. ``box_thresh``,
``max_candidates`` and ``min_size`` only choose among them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from receipt_ocr.decoding.candidates import find_candidates, select_candidates
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import (
    are_narrow,
    finish_words,
    place_on_page,
    regrow_candidates,
)
from receipt_ocr.decoding.settings import GridSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import (
    Overlap,
    TruthWords,
    measure_overlap,
    score_overlap,
)

__all__ = ["GridResult", "GridSettings", "search_grid"]

_MEASURES = ("recall", "precision", "hmean")
_TIE = 1e-12  # means of the same page scores in another order of adding

PageScores = NDArray[np.float64]
"""(points, 3): recall, precision and H-mean of one page at every point of the grid."""


class _Point(NamedTuple):
    """The settings that are tuned."""

    thresh: float
    box_thresh: float
    unclip_ratio: float
    max_candidates: int
    min_size: float


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
    maps: Mapping[str, Callable[[], ProbabilityMap]],
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
        ValueError: If there are no pages, or the three name different pages.
    """
    _check_pages(maps, truths, groups)
    if settings.min_size is None:
        settings = settings.model_copy(update={"min_size": (base.min_size,)})
    points = _list_points(settings)
    pages = sorted(maps)
    by_page = dict(_score_all(pages, maps, truths, settings, base))
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
        rows=tuple(
            {**point._asdict(), **dict(zip(_MEASURES, mean.tolist(), strict=True))}
            for point, mean in zip(points, means, strict=True)
        ),
        best=_with_point(base, points[best]),
        chosen_hmean=float(means[best, 2]),
        honest_hmean=honest,
        fold_choices={fold: _with_point(base, points[index]) for fold, index in choices.items()},
    )


def _check_pages(
    maps: Mapping[str, object], truths: Mapping[str, object], groups: Mapping[str, object] | None
) -> None:
    if not maps:
        raise ValueError("a search needs at least one page with a map, got none")
    named = {"truths": truths} if groups is None else {"truths": truths, "groups": groups}
    for name, pages in named.items():
        differing = sorted(set(maps) ^ set(pages))
        if differing:
            raise ValueError(
                f"maps and {name} must name the same pages, but {len(differing)} are in one of "
                f"them only: {differing[:5]}"
            )


def _score_all(
    pages: list[str],
    maps: Mapping[str, Callable[[], ProbabilityMap]],
    truths: Mapping[str, TruthWords],
    settings: GridSettings,
    base: PostprocessSettings,
) -> Iterator[tuple[str, PageScores]]:
    """Every page with its scores, in any order, behind a progress bar."""
    # disable=None: no bar where the output is no terminal.
    with tqdm(total=len(pages), desc="post-processing search", unit="page", disable=None) as bar:
        if settings.workers == 1:
            for page in pages:
                yield page, _score_page(maps[page](), truths[page], settings, base)
                bar.update()
            return
        # Maps are loaded here and sent, a few ahead of the work: a loader need not be picklable.
        with ProcessPoolExecutor(
            settings.workers, mp_context=get_context("spawn"), initializer=_use_one_thread
        ) as pool:
            pending: dict[Future[PageScores], str] = {}
            waiting = list(reversed(pages))
            while waiting or pending:
                while waiting and len(pending) < 2 * settings.workers:
                    page = waiting.pop()
                    task = pool.submit(_score_page, maps[page](), truths[page], settings, base)
                    pending[task] = page
                for done in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(done), done.result()
                    bar.update()


def _use_one_thread() -> None:
    """The processes share the cores already."""
    cv2.setNumThreads(1)


def _score_page(
    page_map: ProbabilityMap, truth: TruthWords, settings: GridSettings, base: PostprocessSettings
) -> PageScores:
    """One page at every point of the grid, in the order of the points."""
    axes = _axes(settings)
    sizes: tuple[float, ...] = axes[-1]
    scores = np.empty((*map(len, axes), len(_MEASURES)))
    names = ("box_thresh", "max_candidates", "min_size")
    choices = [
        base.model_copy(update=dict(zip(names, values, strict=True)))
        for values in product(*(getattr(settings, name) for name in names))
    ]
    smallest = base.model_copy(update={"min_size": min(sizes)})
    for place, thresh in enumerate(settings.thresh):
        candidates = find_candidates(page_map.probability, thresh, base.shape, smallest.min_size)
        selections = [select_candidates(candidates, choice) for choice in choices]
        needed = np.unique(np.concatenate(selections))
        for step, ratio in enumerate(settings.unclip_ratio):
            words, origins = regrow_candidates(candidates, needed, ratio)
            narrow = {size: are_narrow(words, size) for size in sizes}
            is_wide = ~narrow[smallest.min_size]
            words, origins = finish_words(words, origins, smallest)
            overlap = measure_overlap(truth, place_on_page(words, page_map.map_to_page))
            positions = np.full(len(candidates.kernels), -1)
            positions[origins] = np.arange(len(origins))
            regrown = []
            for choice, selection in zip(choices, selections, strict=True):
                found = positions[selection]
                found = found[found >= 0]
                regrown.append(found[~narrow[choice.min_size][is_wide][found]])
            scored = _score_selections(overlap, len(words), regrown)
            scores[place, :, step] = scored.reshape(scores.shape[1], *scores.shape[3:])
    return scores.reshape(-1, len(_MEASURES))


def _score_selections(
    overlap: Overlap, words: int, selections: Sequence[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Each selection of a page's words by every measure, (selections, 3)."""
    limit = overlap.words.settings.max_detections
    # Words of fewer than 4 points are not in the overlap, but count for the limit.
    places = np.full(words, -1)
    places[overlap.found.indices] = np.arange(len(overlap.found))
    known: dict[bytes, tuple[float, float, float]] = {}
    rows = []
    for selection in selections:
        chosen = places[selection[:limit]]
        key = chosen.tobytes()
        if key not in known:  # neighbouring settings often choose the same words
            page = score_overlap(overlap, chosen[chosen >= 0])
            known[key] = page.recall, page.precision, page.hmean
        rows.append(known[key])
    return np.array(rows)


def _list_points(settings: GridSettings) -> list[_Point]:
    """The grid, the last setting running fastest."""
    return [_Point._make(values) for values in product(*_axes(settings))]


def _axes(settings: GridSettings) -> list[tuple[float, ...]]:
    return [getattr(settings, name) for name in _Point._fields]


def _with_point(base: PostprocessSettings, point: _Point) -> PostprocessSettings:
    return base.model_copy(update=point._asdict())


def _order_of_preference(points: list[_Point], base: PostprocessSettings) -> NDArray[np.intp]:
    """The points by their distance from the base settings, then by their place in the grid."""
    values = np.array(points, dtype=np.float64)
    span = np.ptp(values, axis=0)
    span[span == 0.0] = 1.0
    centre = np.array([getattr(base, key) for key in _Point._fields], dtype=np.float64)
    return np.argsort((np.abs(values - centre) / span).sum(axis=1), kind="stable")


def _choose(hmeans: NDArray[np.float64], preferred: NDArray[np.intp]) -> int:
    """The best point; among equals the most preferred."""
    is_best = hmeans >= hmeans.max() - _TIE
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
