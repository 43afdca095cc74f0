"""Areas that two polygons share, for the many pairs of a page.

A compiled loop over pairs of edges is exact for every polygon that does not touch or cross
itself. The others are left to shapely, which takes many times as long a pair.
"""

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.compiled import compiled
from receipt_ocr.geometry.polygons import Polygon

_MOST_POINTS = 256  # loops over pairs of edges are quadratic: beyond, shapely is faster

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]
Point = tuple[float, float]

FlatPolygons = tuple[Polygon, Indices, Flags]
"""Points and starts of W polygons, as in `PolygonBatch`, and (W,) which of them are simple."""


@compiled
def are_simple(points: Polygon, starts: Indices) -> Flags:
    """(W,) whether no edges of a polygon touch, but neighbours in the corner they share.

    Polygon w owns ``points[starts[w]:starts[w + 1]]``, on whole pixels, so that every product is
    exact. False also for polygons of more than 256 points.
    """
    simple = np.zeros(len(starts) - 1, dtype=np.bool_)
    for word in range(len(simple)):
        polygon = points[starts[word] : starts[word + 1]]
        simple[word] = len(polygon) <= _MOST_POINTS and _is_simple(polygon)
    return simple


@compiled
def measure_shared_areas(
    truths: FlatPolygons, detections: FlatPolygons, rows: Indices, columns: Indices
) -> NDArray[np.float64]:
    """(R,) shared square pixels of truth ``rows[r]`` and detection ``columns[r]``.

    -1 where one of the two is not simple.
    """
    points, starts, are_words_simple = truths
    found_points, found_starts, are_found_simple = detections
    shared = np.full(len(rows), -1.0)
    for pair in range(len(rows)):
        row, column = rows[pair], columns[pair]
        if are_words_simple[row] and are_found_simple[column]:
            shared[pair] = _shared_area(
                points[starts[row] : starts[row + 1]],
                found_points[found_starts[column] : found_starts[column + 1]],
            )
    return shared


@compiled
def _shared_area(first: Polygon, second: Polygon) -> float:
    """Area of the intersection of two simple polygons.

    A polygon is the sum of the strips between its edges and a level line, signed by the way the
    edge runs. So the intersection is the sum over all pairs of edges of what two strips share: the
    part below the lower edge, over the columns that both edges span.
    """
    # Heights above the line and columns from a corner: far from the origin nothing is rounded.
    base, origin = first[0, 1], first[0, 0]
    for polygon in (first, second):
        for k in range(len(polygon)):
            base = min(base, polygon[k, 1])
    total = 0.0
    for i in range(len(first)):
        x1, x2 = first[i - 1, 0] - origin, first[i, 0] - origin
        y1, y2 = first[i - 1, 1] - base, first[i, 1] - base
        for j in range(len(second)):
            u1, u2 = second[j - 1, 0] - origin, second[j, 0] - origin
            left, right = max(min(x1, x2), min(u1, u2)), min(max(x1, x2), max(u1, u2))
            if left >= right:
                continue
            v1, v2 = second[j - 1, 1] - base, second[j, 1] - base
            slope, other = (y2 - y1) / (x2 - x1), (v2 - v1) / (u2 - u1)
            a1, a2 = y1 + (left - x1) * slope, y1 + (right - x1) * slope
            b1, b2 = v1 + (left - u1) * other, v1 + (right - u1) * other
            area = 0.5 * (min(a1, b1) + min(a2, b2))
            if (a1 - b1) * (a2 - b2) < 0.0:  # the edges cross: above a straight line lies a corner
                share = (a1 - b1) / ((a1 - b1) - (a2 - b2))
                corner = a1 + share * (a2 - a1)
                area = 0.5 * (share * min(a1, b1) + (1.0 - share) * min(a2, b2) + corner)
            is_same_way = (x1 < x2) == (u1 < u2)
            total += (right - left) * (area if is_same_way else -area)
    return abs(total)


@compiled
def _is_simple(polygon: Polygon) -> bool:
    """Whether no two edges of a polygon touch, but neighbours in their corner."""
    count = len(polygon)
    for k in range(count):
        (ax, ay), (bx, by), (cx, cy) = polygon[k - 2], polygon[k - 1], polygon[k]
        if bx == cx and by == cy:
            return False
        is_back = (bx - ax) * (cx - bx) + (by - ay) * (cy - by) < 0.0
        if is_back and _side((ax, ay), (bx, by), (cx, cy)) == 0:
            return False
    for i in range(count):
        (ax, ay), (bx, by) = polygon[i], polygon[(i + 1) % count]
        left, right, top, bottom = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        for j in range(i + 2, count - (i == 0)):
            (cx, cy), (dx, dy) = polygon[j], polygon[(j + 1) % count]
            if max(cx, dx) < left or min(cx, dx) > right:
                continue
            if max(cy, dy) < top or min(cy, dy) > bottom:
                continue
            # Signs only: the product of two areas may exceed what float64 holds exactly.
            a, b, c, d = (ax, ay), (bx, by), (cx, cy), (dx, dy)
            if _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0:
                return False
    return True


@compiled
def _side(a: Point, b: Point, point: Point) -> int:
    """On which side of the line a-b a point lies: 1, -1, or 0 on it."""
    turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return int(turn > 0.0) - int(turn < 0.0)
