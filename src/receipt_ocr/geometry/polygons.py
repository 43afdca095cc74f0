"""The only polygon primitives of the project.

A polygon is a (P, 2) float array of pixels of a stated frame, x then y; the last vertex joins
the first. Coordinates have their origin at the corner of the top-left pixel. For a whole page of
polygons at once see `receipt_ocr.geometry.batch`.
"""

import math

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.geometry.compiled import compiled

__all__ = [
    "MAX_COORDINATE",
    "Box",
    "Matrix",
    "Polygon",
    "PolygonError",
    "as_polygon",
    "bounding_box",
    "clip_to_page",
    "clip_to_pieces",
    "measure_line",
    "measure_polygons",
    "minimum_area_box",
    "next_vertices",
    "offset_path",
    "perimeter",
    "polygon_area",
    "short_side",
    "transform_polygon",
]

MAX_COORDINATE = 1_000_000
"""Pixels from the origin that numeric code answers for; whatever lies farther is a mistake."""

Polygon = NDArray[np.float64]
Matrix = NDArray[np.float64]
Box = tuple[float, float, float, float]
Path = list[list[int]]


class PolygonError(ValueError):
    """Coordinates that make no polygon; ``reason`` is a short fixed code for tables of faults."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def as_polygon(points: ArrayLike) -> Polygon:
    """A polygon from nested or flat coordinates.

    Args:
        points: ``[[x, y], ...]`` or ``[x1, y1, x2, y2, ...]``.

    Returns:
        A new (P, 2) array.

    Raises:
        PolygonError: If the numbers do not pair up (reason ``not_numbers``), are not finite
            (``not_finite``), or make fewer than 4 points (``too_few_points``).
    """
    try:
        flat = np.array(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PolygonError("not_numbers", f"points must be numbers, got {points!r}") from error
    is_nested = flat.ndim == 2 and flat.shape[1] == 2
    is_flat = flat.ndim == 1 and flat.size % 2 == 0
    if not (is_nested or is_flat):
        message = f"points must be [[x, y], ...] or [x1, y1, ...], got shape {flat.shape}"
        raise PolygonError("too_few_points" if flat.size == 0 else "not_numbers", message)
    polygon = flat.reshape(-1, 2)
    if len(polygon) < 4:
        message = f"a polygon needs 4 points or more, got {len(polygon)}"
        raise PolygonError("too_few_points", message)
    if not np.isfinite(polygon).all():
        raise PolygonError("not_finite", "points must be finite, got NaN or infinity")
    return polygon


def next_vertices(polygon: Polygon) -> Polygon:
    """Each vertex's successor along the closed outline, (P, 2): the other ends of the edges."""
    # Many times faster than np.roll on arrays of this size.
    return np.concatenate([polygon[1:], polygon[:1]])


@compiled
def polygon_area(polygon: Polygon) -> float:
    """Absolute enclosed area in square pixels (shoelace formula)."""
    twice = 0.0
    for k in range(len(polygon)):
        x1, y1 = float(polygon[k - 1, 0]), float(polygon[k - 1, 1])
        x2, y2 = float(polygon[k, 0]), float(polygon[k, 1])
        twice += x1 * y2 - x2 * y1
    return abs(twice) / 2.0


@compiled
def perimeter(polygon: Polygon) -> float:
    """Length of the closed outline in pixels."""
    length = 0.0
    for k in range(len(polygon)):
        x1, y1 = float(polygon[k - 1, 0]), float(polygon[k - 1, 1])
        x2, y2 = float(polygon[k, 0]), float(polygon[k, 1])
        length += math.sqrt((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1))
    return length


@compiled
def bounding_box(polygon: Polygon) -> Box:
    """``(left, top, right, bottom)`` in the polygon's frame; infinite without points."""
    left = top = np.inf
    right = bottom = -np.inf
    for k in range(len(polygon)):
        left, right = min(left, polygon[k, 0]), max(right, polygon[k, 0])
        top, bottom = min(top, polygon[k, 1]), max(bottom, polygon[k, 1])
    return left, top, right, bottom


@compiled
def measure_polygons(
    points: Polygon, starts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Area, perimeter and bounding box of many polygons.

    Args:
        points: (N, 2) the points of all polygons.
        starts: (W + 1,) polygon w owns ``points[starts[w]:starts[w + 1]]``.

    Returns:
        (W,) areas, (W,) perimeters, (W, 4) boxes, as the functions of those names.
    """
    count = len(starts) - 1
    areas, perimeters, boxes = np.empty(count), np.empty(count), np.empty((count, 4))
    for index in range(count):
        polygon = points[starts[index] : starts[index + 1]]
        areas[index], perimeters[index] = polygon_area(polygon), perimeter(polygon)
        left, top, right, bottom = bounding_box(polygon)
        boxes[index, 0], boxes[index, 1] = left, top
        boxes[index, 2], boxes[index, 3] = right, bottom
    return areas, perimeters, boxes


def transform_polygon(polygon: Polygon, matrix: Matrix) -> Polygon:
    """The polygon moved by a 3x3 homogeneous matrix, into the frame the matrix leads to."""
    # Written out: a matrix product rounds differently for other numbers of points.
    x, y = polygon[:, 0], polygon[:, 1]
    across, down, scale = (row[0] * x + row[1] * y + row[2] for row in np.asarray(matrix))
    return np.stack([across / scale, down / scale], axis=1)


def clip_to_page(polygon: Polygon, width: float, height: float) -> Polygon | None:
    """The part of a polygon inside ``[0, width] x [0, height]``, its largest piece.

    Returns:
        The polygon itself (a copy) where it lies inside; else the outline of the largest piece,
        with 4 vertices or more; None where nothing with an area is left.
    """
    pieces, _ = clip_to_pieces(polygon, width, height)
    return pieces[0] if pieces else None


def clip_to_pieces(polygon: Polygon, width: float, height: float) -> tuple[list[Polygon], float]:
    """All parts of a polygon inside ``[0, width] x [0, height]``.

    Returns:
        The pieces as `clip_to_page` gives the largest, largest first, and the share of the
        polygon's area that is inside.
    """
    left, top, right, bottom = bounding_box(polygon)
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return [polygon.copy()], 1.0
    whole = shapely.make_valid(shapely.Polygon(polygon))
    inside = shapely.intersection(whole, shapely.box(0, 0, width, height))
    parts = shapely.get_parts(inside)
    pieces = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    pieces.sort(key=lambda piece: -piece.area)
    share = inside.area / whole.area if whole.area else 0.0
    return [_outline_of(piece) for piece in pieces], share


def _outline_of(piece: shapely.Polygon) -> Polygon:
    """The outer ring with 4 vertices or more: consumers ask for them."""
    outline = shapely.get_coordinates(piece.exterior)[:-1]
    if len(outline) == 3:  # halve the longest edge
        lengths = np.linalg.norm(next_vertices(outline) - outline, axis=1)
        edge = int(lengths.argmax())
        middle = (outline[edge] + outline[(edge + 1) % 3]) / 2
        outline = np.insert(outline, edge + 1, middle, axis=0)
    return np.ascontiguousarray(outline, dtype=np.float64)


def offset_path(path: Path, distance: float) -> list[Path]:
    """Grow (distance > 0) or shrink (< 0) a polygon with rounded joins.

    The Vatti clipping of pyclipper works on integers, in lists: those are taken and returned, and
    coordinates are to be truncated, as in the common DBNet code (shapely's buffer gives other
    polygons).

    Args:
        path: ``[[x, y], ...]`` in whole pixels.
        distance: Pixels, outwards if positive.

    Returns:
        The resulting polygons; none where the polygon vanishes.
    """
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(path, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    pieces: list[Path] = offset.Execute(distance)
    return pieces


def minimum_area_box(polygon: Polygon) -> Polygon:
    """The minimum-area rectangle around the points, (4, 2): clockwise from the top left."""
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.float32)))
    by_x = sorted(corners.tolist(), key=lambda corner: corner[0])
    top_left, bottom_left = sorted(by_x[:2], key=lambda corner: corner[1])
    top_right, bottom_right = sorted(by_x[2:], key=lambda corner: corner[1])
    return np.array([top_left, top_right, bottom_right, bottom_left], dtype=np.float64)


def short_side(polygon: Polygon) -> float:
    """Shorter side of the minimum-area rectangle in pixels: the text height of a line."""
    return float(min(cv2.minAreaRect(polygon.astype(np.float32))[1]))


def measure_line(polygon: Polygon) -> tuple[float, float, float]:
    """Length, height and tilt of a line of text, by its minimum-area rectangle.

    Returns:
        The longer and the shorter side in pixels, and how far the longer one is from lying
        flat, in degrees from 0 to 90.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.float32))).astype(np.float64)
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    short, along = sorted([first, second], key=lambda side: float(np.hypot(*side)))
    tilt = np.degrees(np.arctan2(abs(along[1]), abs(along[0])))
    return float(np.hypot(*along)), float(np.hypot(*short)), float(tilt)
