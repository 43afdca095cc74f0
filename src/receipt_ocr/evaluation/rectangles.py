"""The smallest rectangle around a word, from which CLEval guesses how many characters it has.

Where two edges of the hull tie, the first one counts, in the order in which SciPy returns the
hull; the contest's counts depend on that, and on float32 throughout: with it ``eps`` vanishes and
a word of exactly 3:1 has 4 characters, without it 3. Float32 is also why moving a slanted word
may resolve a tie differently. Most words have no tie that matters: for these a compiled hull of any
order gives the same length, many times faster.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from receipt_ocr.geometry.batch import PolygonBatch
from receipt_ocr.geometry.compiled import compiled
from receipt_ocr.geometry.polygons import Polygon

MAX_LENGTH = 100
"""Most characters of a word of unknown text."""

_EPS = np.finfo(np.float32).eps
_MAX_ASPECT = np.float32(100.0)
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]


def rectangle_aspect(polygon: Polygon) -> np.float32:
    """Extent across over extent along the first hull edge whose rectangle is smallest.

    0 if all points lie on one line. Where two edges tie, the value may be the inverse of what one
    expects.
    """
    points = polygon.astype(np.float32)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        return np.float32(0.0)
    areas, aspects = _measure_rectangles(hull)
    return np.float32(aspects[areas.argmin()])


def guess_lengths(words: PolygonBatch) -> NDArray[np.intp]:
    """Guess the number of characters from the shape, where the order of vertices has no say.

    Returns:
        (W, 2) the length as a true word (whichever way round it is read), and as a false
        positive; 0 where `rectangle_aspect` must decide: the points are no whole pixels or lie on
        one line, or smallest rectangles of equal area lead to different lengths.
    """
    x, y = words.points.T
    owners = np.repeat(np.arange(len(words)), words.sizes)
    # On whole pixels a corner turns by a square pixel or not at all: there Qhull, which allows
    # for rounding, sees the same hull.
    is_whole = np.ones(len(words), dtype=np.bool_)
    is_whole[owners[(x != np.trunc(x)) | (y != np.trunc(y))]] = False
    ordered = words.points[np.lexsort((y, x, owners))]
    lengths = np.zeros((len(words), 2), dtype=np.intp)
    _guess_each(ordered, words.starts, is_whole, lengths)
    return lengths


@compiled
def _guess_each(
    points: Polygon, starts: Indices, is_whole: NDArray[np.bool_], lengths: Indices
) -> None:
    """`guess_lengths` of words whose points are sorted by x, then y."""
    for word in range(len(lengths)):
        hull = _find_hull(points[starts[word] : starts[word + 1]])
        if not is_whole[word] or len(hull) < 3:
            continue
        areas, aspects = _measure_rectangles(hull)
        smallest = areas[0]
        for area in areas:
            smallest = min(smallest, area)
        for kind in range(2):
            lowest, highest = MAX_LENGTH, 0
            for edge in range(len(areas)):
                if areas[edge] == smallest:
                    ratio = _ONE / (aspects[edge] + _EPS)
                    if kind == 0:
                        ratio = max(aspects[edge], ratio)
                    length = min(int(np.rint(_HALF + ratio)), MAX_LENGTH)
                    lowest, highest = min(lowest, length), max(highest, length)
            if lowest == highest:
                lengths[word, kind] = lowest


@compiled
def _measure_rectangles(hull: Floats) -> tuple[Floats, Floats]:
    """Area and aspect of the rectangle along each edge of a convex (E, 2) float32 hull."""
    areas = np.empty(len(hull), dtype=np.float32)
    aspects = np.empty(len(hull), dtype=np.float32)
    for edge in range(len(hull)):
        following = (edge + 1) % len(hull)
        across, down = hull[following, 0] - hull[edge, 0], hull[following, 1] - hull[edge, 1]
        length = np.sqrt(across * across + down * down)
        ux, uy = across / length, down / length
        first, last = ux * hull[0, 0] + uy * hull[0, 1], ux * hull[0, 0] + uy * hull[0, 1]
        low, high = ux * hull[0, 1] - uy * hull[0, 0], ux * hull[0, 1] - uy * hull[0, 0]
        for corner in range(len(hull)):
            x, y = hull[corner, 0], hull[corner, 1]
            first, last = min(first, ux * x + uy * y), max(last, ux * x + uy * y)
            low, high = min(low, ux * y - uy * x), max(high, ux * y - uy * x)
        areas[edge] = (last - first) * (high - low)
        aspects[edge] = min(_MAX_ASPECT, (high - low) / (last - first + _EPS))
    return areas, aspects


@compiled
def _find_hull(ordered: Polygon) -> NDArray[np.float32]:
    """Corners of the convex hull, (E, 2), of points sorted by x, then y; no straight corner.

    Andrew's monotone chain: one side of the hull forwards, the other backwards.
    """
    hull = np.empty((2 * len(ordered) + 1, 2), dtype=np.float32)  # exact up to 2^24
    count = 0
    for side in range(2):
        first = count
        for index in range(len(ordered)):
            place = index if side == 0 else len(ordered) - 1 - index
            x, y = ordered[place, 0], ordered[place, 1]
            while count >= first + 2:
                ax, ay = float(hull[count - 2, 0]), float(hull[count - 2, 1])
                bx, by = float(hull[count - 1, 0]), float(hull[count - 1, 1])
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0.0:
                    break
                count -= 1
            hull[count, 0], hull[count, 1] = x, y
            count += 1
        count -= 1  # the last corner of a side is the first of the other
    return hull[:count]
