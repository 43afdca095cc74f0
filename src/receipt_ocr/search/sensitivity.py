"""How far each post-processing setting may move from the best point before the score falls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.search.page_scoring import TIE, Point, check_pages, list_tasks, score_page
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.search.workers import PageWorkers, Tasks

__all__ = ["DROP", "Plateau", "find_plateau"]

DROP = 0.0005
"""A page-mean H-mean that is lower by more has fallen."""

_STEPS = {"thresh": 0.02, "box_thresh": 0.02, "unclip_ratio": 0.05, "min_size": 1.0}
"""Of the scan; ``max_candidates`` moves by a tenth of the best."""

_RANGES = {
    "thresh": (0.0, 1.0),
    "box_thresh": (0.0, 1.0),
    "unclip_ratio": (0.05, np.inf),
    "max_candidates": (1.0, np.inf),
    "min_size": (0.0, np.inf),
}

_FARTHEST = 10
"""Steps to either side."""

_ROUNDS = (range(1, 3), range(3, 6), range(6, _FARTHEST + 1))
"""Steps of the dear settings are tried round by round, and only where nothing has fallen yet."""

_DEAR = ("thresh", "unclip_ratio")
"""Each value finds or regrows the words anew. The others choose among the same words."""

Direction = tuple[str, int]
"""A setting, and -1 for down or 1 for up."""


@dataclass(frozen=True)
class Plateau:
    """Where one setting may lie, all others at the best point."""

    lowest: float
    """The farthest value down to which the score has not fallen."""
    highest: float
    """The farthest value up to which the score has not fallen."""
    is_open_below: bool
    """Whether it had not fallen at the last value tried: the plateau may go on, unless the range
    of the setting ends there."""
    is_open_above: bool
    """As ``is_open_below``, upwards."""
    hmean: float
    """Page mean at the best point, from which a fall is counted."""


def find_plateau(
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    best: PostprocessSettings,
    settings: GridSettings,
    drop: float = DROP,
) -> dict[str, Plateau]:
    """Move one setting at a time until the page-mean H-mean falls by more than ``drop``.

    Up to ten steps to either side: 0.02 of ``thresh`` and ``box_thresh``, 0.05 of
    ``unclip_ratio``, 1 of ``min_size``, a tenth of ``max_candidates``.

    Args:
        maps: Page -> a function that loads its map.
        truths: Page -> its true words.
        best: The point to start from.
        settings: The number of processes, or Ray.
        drop: How much lower a score has not fallen yet.

    Returns:
        Setting -> its plateau, for ``thresh, box_thresh, unclip_ratio, max_candidates, min_size``.

    Raises:
        ValueError: If there are no pages, maps and truths name different pages, or Ray is asked
            for but cannot be reached.
        RuntimeError: If a process has died.
    """
    check_pages(maps, truths, None)
    start = Point.of(best)
    hmeans: dict[Point, float] = {}
    tasks = list_tasks(maps, truths)
    with PageWorkers(settings.workers, settings.ray) as crew:
        for number, steps in enumerate(_ROUNDS):
            points = [] if number else [start, *_cheap_points(start)]
            for direction in ((name, sign) for name in _DEAR for sign in (-1, 1)):
                if not number or not _has_fallen(start, direction, hmeans, drop):
                    points += _walk(start, direction, steps)
            if points := [point for point in dict.fromkeys(points) if point not in hmeans]:
                title = f"plateau, round {number + 1}"
                hmeans |= _score(crew, tasks, points, best, title)
    return {name: _measure(start, name, hmeans, drop) for name in Point._fields}


def _score(
    crew: PageWorkers, tasks: Tasks, points: list[Point], base: PostprocessSettings, title: str
) -> dict[Point, float]:
    """Page-mean H-mean of each point."""
    score = partial(score_page, points=points, base=base)
    by_page: dict[str, NDArray[np.float64]] = dict(crew.map(score, tasks, title))
    means = np.stack([by_page[page] for page in tasks])[:, :, 2].mean(axis=0)
    return dict(zip(points, means.tolist(), strict=True))


def _cheap_points(start: Point) -> Iterator[Point]:
    for name in Point._fields:
        if name not in _DEAR:
            for sign in (-1, 1):
                yield from _walk(start, (name, sign), range(1, _FARTHEST + 1))


def _walk(start: Point, direction: Direction, steps: range) -> list[Point]:
    """The points some steps away, as far as the range of the setting goes; its end is one."""
    name, sign = direction
    value = getattr(start, name)
    step = _STEPS.get(name, max(1, round(value / 10)))
    values = [round(value + sign * count * step, 9) for count in steps]
    clipped = (type(value)(min(max(v, _RANGES[name][0]), _RANGES[name][1])) for v in values)
    return [start._replace(**{name: v}) for v in dict.fromkeys(clipped) if v != value]


def _tried(start: Point, direction: Direction, hmeans: Mapping[Point, float]) -> list[Point]:
    """The points of a direction that have been scored, from the start outwards."""
    walk = _walk(start, direction, range(1, _FARTHEST + 1))
    return [point for point in walk if point in hmeans]


def _has_fallen(
    start: Point, direction: Direction, hmeans: Mapping[Point, float], drop: float
) -> bool:
    floor = hmeans[start] - drop - TIE
    return any(hmeans[point] < floor for point in _tried(start, direction, hmeans))


def _measure(start: Point, name: str, hmeans: Mapping[Point, float], drop: float) -> Plateau:
    floor = hmeans[start] - drop - TIE
    ends = []
    for sign in (-1, 1):
        end = start
        for point in _tried(start, (name, sign), hmeans):
            if hmeans[point] < floor:
                break
            end = point
        ends.append(float(getattr(end, name)))
    is_open = [not _has_fallen(start, (name, sign), hmeans, drop) for sign in (-1, 1)]
    return Plateau(ends[0], ends[1], is_open[0], is_open[1], hmeans[start])
