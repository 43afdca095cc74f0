"""The smallest rectangle around a word, from which CLEval guesses how many characters it has.

Where two edges of the hull tie, the first one counts, in the order in which SciPy returns the
hull; the contest's counts depend on that, and on float32 throughout: with it ``eps`` vanishes and
a word of exactly 3:1 has 4 characters, without it 3. Float32 is also why moving a slanted word
may resolve a tie differently. Most words have no tie that matters, so no need of that order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from receipt_ocr.compiled import compiled
from receipt_ocr.geometry import Polygon

__all__ = ["MAX_LENGTH", "guess_lengths", "rectangle_aspect"]

MAX_LENGTH = 100
"""Characters that a word of unknown text has at most."""

_EPS = np.finfo(np.float32).eps
_MAX_ASPECT = np.float32(100.0)
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)

Floats = NDArray[np.floating[Any]]


def rectangle_aspect(polygon: Polygon) -> np.float32:
    """Extent across over extent along the first hull edge whose rectangle is smallest.

    Where two edges tie the value may be the inverse of what one expects.
    """
    points = polygon.astype(np.float32)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # all points on one line
        return np.float32(0.0)
    areas, aspects = _measure_rectangles(hull)
    return np.float32(aspects[areas.argmin()])


@compiled
def guess_lengths(points: Polygon, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many characters words have by their shape, where no order of vertices matters.

    Args:
        points: (N, 2) the points of all words.
        starts: (W + 1,) word w owns ``points[starts[w]:starts[w + 1]]``.

    Returns:
        (W, 2) the length as a true word (whichever way round it is read), and as a false
        positive; 0 where `rectangle_aspect` must decide: the points are no whole pixels or lie on
        one line, or smallest rectangles of equal area lead to different lengths.
    """
    lengths = np.zeros((len(starts) - 1, 2), dtype=np.intp)
    for word in range(len(lengths)):
        polygon = points[starts[word] : starts[word + 1]]
        # On whole pixels a corner turns by a square pixel or not at all: there Qhull, which
        # allows for rounding, sees the same hull.
        if len(polygon) < 3 or not np.all(polygon == np.trunc(polygon)):
            continue
        hull = _find_hull(polygon)
        if len(hull) < 3:
            continue
        areas, aspects = _measure_rectangles(hull.astype(np.float32))
        smallest = areas.min()
        lowest, highest = np.full(2, MAX_LENGTH + 1), np.zeros(2, dtype=np.intp)
        for edge in range(len(areas)):
            if areas[edge] == smallest:
                inverse = _ONE / (aspects[edge] + _EPS)
                for kind, ratio in enumerate((max(aspects[edge], inverse), inverse)):
                    length = min(int(np.rint(_HALF + ratio)), MAX_LENGTH)
                    lowest[kind] = min(lowest[kind], length)
                    highest[kind] = max(highest[kind], length)
        for kind in range(2):
            if lowest[kind] == highest[kind]:
                lengths[word, kind] = lowest[kind]
    return lengths


@compiled
def _measure_rectangles(hull: Floats) -> tuple[Floats, Floats]:
    """Area and aspect of the rectangle along each edge of a convex (E, 2) float32 hull."""
    areas = np.empty(len(hull), dtype=np.float32)
    aspects = np.empty(len(hull), dtype=np.float32)
    for edge in range(len(hull)):
        across, down = hull[(edge + 1) % len(hull)] - hull[edge]
        length = np.sqrt(across * across + down * down)
        ux, uy = across / length, down / length
        first, last = ux * hull[0, 0] + uy * hull[0, 1], ux * hull[0, 0] + uy * hull[0, 1]
        low, high = ux * hull[0, 1] - uy * hull[0, 0], ux * hull[0, 1] - uy * hull[0, 0]
        for x, y in hull:
            first, last = min(first, ux * x + uy * y), max(last, ux * x + uy * y)
            low, high = min(low, ux * y - uy * x), max(high, ux * y - uy * x)
        areas[edge] = (last - first) * (high - low)
        aspects[edge] = min(_MAX_ASPECT, (high - low) / (last - first + _EPS))
    return areas, aspects


@compiled
def _find_hull(polygon: Polygon) -> Polygon:
    """The corners of the convex hull, (E, 2) (Andrew's monotone chain); no straight corner."""
    ordered = polygon[np.argsort(polygon[:, 1])]
    ordered = ordered[np.argsort(ordered[:, 0], kind="mergesort")]
    hull = np.empty((2 * len(ordered) + 1, 2))
    count = 0
    for side in range(2):
        first = count
        for index in range(len(ordered)):
            x, y = ordered[index if side == 0 else len(ordered) - 1 - index]
            while count >= first + 2:
                ax, ay = hull[count - 2]
                bx, by = hull[count - 1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0.0:
                    break
                count -= 1
            hull[count] = x, y
            count += 1
        count -= 1  # the last corner of a side is the first of the other
    return hull[:count]
