"""Sensitivity: the range in which each setting alone may lie before the score falls."""

from itertools import product, takewhile

import numpy as np

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.records import Sensitivity
from receipt_ocr.search.page_scoring import RANGES, TIE, Point
from receipt_ocr.search.score_table import ScoreTable

DROP = 0.0005
"""A page-mean H-mean that is lower by more has fallen."""

_STEPS = {"thresh": 0.02, "box_thresh": 0.02, "unclip_ratio": 0.05, "min_size": 1.0}
"""Step of each setting; ``max_candidates`` moves by a tenth of the best."""
_REACHES = (2, 5, 10)
"""Steps to either side that are tried by the end of each round."""
_EXPENSIVE = ("thresh", "unclip_ratio")
"""Each value finds or unclips the words anew, so that these go on only where nothing has fallen.
The others choose among the same words, and are tried at all ten steps at once."""


def measure_sensitivity(
    table: ScoreTable, best: PostprocessSettings, drop: float = DROP
) -> dict[str, Sensitivity]:
    """Move one setting at a time until the page-mean H-mean falls by more than ``drop``.

    Up to ten steps to either side: 0.02 of ``thresh`` and ``box_thresh``, 0.05 of
    ``unclip_ratio``, 1 of ``min_size``, a tenth of ``max_candidates``. The table's scores are
    filled in.

    Raises:
        RuntimeError: If a process has died.
    """
    start = Point.of(best)
    table.fill([(start, table.everywhere)])
    hmean = float(table.mean(start)[2])
    floor = hmean - drop - TIE
    walks: dict[tuple[str, int], list[Point]] = {}
    for number, reach in enumerate(_REACHES, start=1):
        for name, sign in product(Point._fields, (-1, 1)):
            walk = walks.get((name, sign), [])
            if _before_fall(table, walk, floor) == walk:
                steps = reach if name in _EXPENSIVE else _REACHES[-1]
                walks[name, sign] = _walk(start, name, sign, steps)
        wanted = [(point, table.everywhere) for walk in walks.values() for point in walk]
        table.fill(wanted, f"sensitivity, round {number}")
    held = {direction: _before_fall(table, walk, floor) for direction, walk in walks.items()}
    return {
        name: Sensitivity(
            lowest=getattr([start, *held[name, -1]][-1], name),
            highest=getattr([start, *held[name, 1]][-1], name),
            is_open_below=held[name, -1] == walks[name, -1],
            is_open_above=held[name, 1] == walks[name, 1],
            hmean=hmean,
        )
        for name in Point._fields
    }


def _walk(start: Point, name: str, sign: int, steps: int) -> list[Point]:
    """Points up to so many steps away, clipped to the setting's range."""
    value = getattr(start, name)
    step = _STEPS.get(name, max(1, round(value / 10)))
    values = [round(value + sign * count * step, 9) for count in range(1, steps + 1)]
    clipped = (type(value)(np.clip(v, *RANGES[name])) for v in values)
    return [start._replace(**{name: v}) for v in dict.fromkeys(clipped) if v != value]


def _before_fall(table: ScoreTable, walk: list[Point], floor: float) -> list[Point]:
    """Points of a walk before the first whose H-mean lies under the floor."""
    return list(takewhile(lambda point: table.mean(point)[2] >= floor, walk))
