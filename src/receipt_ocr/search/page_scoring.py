"""Pages scored at many post-processing settings at once.

A page's contours and scores are found once for every ``thresh``; the words are regrown, and their
overlap with the truth is measured, once for every ``unclip_ratio`` at it. ``box_thresh``,
``max_candidates`` and ``min_size`` only choose among them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.candidates import Candidates, find_candidates, select_candidates
from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.decoding.postprocess import (
    are_narrow,
    finish_words,
    place_on_page,
    regrow_candidates,
)
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import Overlap, TruthWords, measure_overlap, score_overlap
from receipt_ocr.search.workers import Tasks

__all__ = [
    "MEASURES",
    "TIE",
    "PageScores",
    "Point",
    "check_pages",
    "list_tasks",
    "score_page",
    "tabulate_point",
]

MEASURES = ("recall", "precision", "hmean")

TIE = 1e-12
"""Means that differ by less are equal: of the same page scores in another order of adding."""

PageScores = NDArray[np.float64]
"""(points, 3): recall, precision and H-mean of one page at every point."""


class Point(NamedTuple):
    """The settings that are tuned."""

    thresh: float
    box_thresh: float
    unclip_ratio: float
    max_candidates: int
    min_size: float

    @classmethod
    def of(cls, settings: PostprocessSettings) -> "Point":
        """Where settings lie."""
        return cls._make(getattr(settings, name) for name in cls._fields)

    def within(self, base: PostprocessSettings) -> PostprocessSettings:
        """These settings, and the base's for what is not tuned."""
        return base.model_copy(update=self._asdict())


def check_pages(
    maps: Mapping[str, object], truths: Mapping[str, object], groups: Mapping[str, object] | None
) -> None:
    """Refuse a search whose maps, truths and groups are not of the same pages.

    Raises:
        ValueError: If they are not, or there are no pages.
    """
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


def list_tasks(maps: Mapping[str, LoadMap], truths: Mapping[str, TruthWords]) -> Tasks:
    """The pages in the order of their names, for `score_page` by `page_workers.PageWorkers`."""

    def load(page: str) -> tuple[ProbabilityMap, TruthWords]:
        return maps[page](), truths[page]

    return {page: partial(load, page) for page in sorted(maps)}


def tabulate_point(point: Point, means: Iterable[float]) -> dict[str, float]:
    """A row of a table: the settings and the page means ``recall, precision, hmean``."""
    return {**point._asdict(), **dict(zip(MEASURES, map(float, means), strict=True))}


def score_page(
    page_map: ProbabilityMap,
    truth: TruthWords,
    points: Sequence[Point],
    base: PostprocessSettings,
) -> PageScores:
    """One page at every point.

    Args:
        page_map: The page's map.
        truth: Its words, prepared with the variant of the score to use.
        points: What to try; those of one ``thresh``, and of one ``unclip_ratio`` at it, share
            most of their cost.
        base: Everything that is not tuned.
    """
    scores = np.empty((len(points), len(MEASURES)))
    for thresh, places in _group(range(len(points)), lambda place: points[place].thresh):
        choices = {place: points[place].within(base) for place in places}
        smallest = min(choice.min_size for choice in choices.values())
        candidates = find_candidates(page_map.probability, thresh, base.shape, smallest)
        known: dict[tuple[float, int, float], NDArray[np.intp]] = {}
        selections = {}
        for place, choice in choices.items():
            key = choice.box_thresh, choice.max_candidates, choice.min_size
            if key not in known:  # the ratio has no say here
                known[key] = select_candidates(candidates, choice)
            selections[place] = known[key]
        for _, group in _group(places, lambda place: points[place].unclip_ratio):
            scores[group] = _score_regrown(
                candidates,
                [selections[place] for place in group],
                [choices[place] for place in group],
                (truth, page_map),
            )
    return scores


def _group(places: Iterable[int], key: Callable[[int], float]) -> list[tuple[float, list[int]]]:
    """The places of each value, in the order in which the values occur first."""
    groups: dict[float, list[int]] = {}
    for place in places:
        groups.setdefault(key(place), []).append(place)
    return list(groups.items())


def _score_regrown(
    candidates: Candidates,
    selections: Sequence[NDArray[np.intp]],
    choices: Sequence[PostprocessSettings],
    page: tuple[TruthWords, ProbabilityMap],
) -> NDArray[np.float64]:
    """Settings of one ``thresh`` and ``unclip_ratio``, each with its selection of candidates."""
    truth, page_map = page
    sizes = {choice.min_size for choice in choices}
    smallest = min(choices, key=lambda choice: choice.min_size)
    needed = np.unique(np.concatenate(selections))
    words, origins = regrow_candidates(candidates, needed, smallest.unclip_ratio)
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
    return _score_selections(overlap, len(words), regrown)


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
