"""Primitives for single polygons: conversion, sizes, transformation, clipping, offsetting.

A polygon is a (P, 2) float array of pixels of a stated frame, x then y; the last vertex joins
the first. Coordinates have their origin at the corner of the top-left pixel. For a whole page of
polygons at once see `receipt_ocr.geometry.batch`.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.geometry.compiled import compiled

MAX_COORDINATE = 1_000_000
"""Largest coordinate in pixels; anything farther from the origin is taken for a mistake."""

Polygon = NDArray[np.float64]
Matrix = NDArray[np.float64]
"""3x3, for homogeneous coordinates."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Path = list[list[int]]
"""``[[x, y], ...]`` in whole pixels, as pyclipper takes and gives polygons."""


class PolygonError(ValueError):
    """Coordinates make no usable polygon; ``reason`` is a fixed code for tables of faults."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def as_polygon(points: ArrayLike) -> Polygon:
    """Make a polygon from nested or flat coordinates; `flatten_polygon` is the way back.

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


def flatten_polygon(polygon: Polygon) -> list[float]:
    """``[x1, y1, x2, y2, ...]``, as tables and JSON files hold a polygon."""
    flat: list[float] = polygon.ravel().tolist()
    return flat


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    """An upright rectangle, (4, 2): clockwise from the top left."""
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return np.array(corners, dtype=np.float64)


@compiled
def signed_area(polygon: Polygon) -> float:
    """Area in square pixels by the shoelace formula; positive if clockwise on the screen."""
    twice = 0.0
    for k in range(len(polygon)):
        x1, y1 = float(polygon[k - 1, 0]), float(polygon[k - 1, 1])
        x2, y2 = float(polygon[k, 0]), float(polygon[k, 1])
        twice += x1 * y2 - x2 * y1
    return twice / 2.0


@compiled
def polygon_area(polygon: Polygon) -> float:
    """Enclosed area in square pixels; the parts of a crossed outline cancel out."""
    return abs(signed_area(polygon))


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
    """Left, top, right and bottom in the polygon's frame; infinite without points."""
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
    """Measure many polygons at once; polygon w owns ``points[starts[w]:starts[w + 1]]``, (N, 2).

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
    """Move a polygon by a 3x3 homogeneous matrix, into the frame that the matrix leads to."""
    # Written out, because a matrix product rounds a point differently depending on how many
    # other points there are.
    x, y = polygon[:, 0], polygon[:, 1]
    across, down, scale = (row[0] * x + row[1] * y + row[2] for row in np.asarray(matrix))
    return np.stack([across / scale, down / scale], axis=1)


def distance_outside(polygon: Polygon, width: float, height: float) -> float:
    """Distance of the farthest point outside ``[0, width] x [0, height]``, along x or y."""
    left, top, right, bottom = bounding_box(polygon)
    return float(max(-left, -top, right - width, bottom - height, 0.0))


def clip_to_pieces(polygon: Polygon, width: float, height: float) -> tuple[list[Polygon], float]:
    """Cut a polygon down to what lies inside ``[0, width] x [0, height]``.

    Returns:
        The outlines of its pieces, largest first, each of 4 vertices or more (a copy of the
        polygon where it lies inside; nothing where no area is left), and the share of the
        polygon's area that is inside.
    """
    if distance_outside(polygon, width, height) == 0:
        return [polygon.copy()], 1.0
    whole = shapely.make_valid(shapely.Polygon(polygon))
    inside = shapely.intersection(whole, shapely.box(0, 0, width, height))
    parts = shapely.get_parts(inside)
    pieces = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    pieces.sort(key=lambda piece: -piece.area)
    share = inside.area / whole.area if whole.area else 0.0
    return [_outline_of(piece) for piece in pieces], share


def _outline_of(piece: shapely.Polygon) -> Polygon:
    """The outer ring. A triangle gets a fourth vertex, because `as_polygon` asks for four."""
    outline = shapely.get_coordinates(piece.exterior)[:-1]
    if len(outline) == 3:  # halve the longest edge
        lengths = np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1)
        edge = int(lengths.argmax())
        middle = (outline[edge] + outline[(edge + 1) % 3]) / 2
        outline = np.insert(outline, edge + 1, middle, axis=0)
    return np.ascontiguousarray(outline, dtype=np.float64)


def offset_path(path: Path, distance: float) -> list[Path]:
    """Grow (distance > 0) or shrink (< 0) a polygon with rounded joins.

    This is pyclipper's Vatti clipping, as in the common DBNet code; shapely's buffer gives other
    polygons. It works on integers: truncate the coordinates first.

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


def uncross_quad(polygon: Polygon) -> Polygon:
    """Put the corners of a quad in order if it is drawn as a bow-tie.

    Four corners of a bow-tie always make one convex quad, which is what the annotator meant.
    Anything else comes back as the same array.
    """
    if len(polygon) != 4:
        return polygon
    a, b, c, d = polygon.tolist()
    if _do_cross(a, b, c, d):
        return polygon[[0, 2, 1, 3]]
    if _do_cross(b, c, d, a):
        return polygon[[0, 1, 3, 2]]
    return polygon


def _do_cross(a: list[float], b: list[float], c: list[float], d: list[float]) -> bool:
    """Whether the segments ab and cd cross; touching does not count."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: list[float], b: list[float], point: list[float]) -> float:
    """Side of the line ab on which a point lies: 1, -1, or 0 on the line."""
    cross = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return math.copysign(1.0, cross) if cross else 0.0


def minimum_area_box(polygon: Polygon) -> Polygon:
    """The minimum-area rectangle around the points, (4, 2): clockwise from the top left."""
    corners = cv2.boxPoints(_minimum_area_rectangle(polygon))
    by_x = sorted(corners.tolist(), key=lambda corner: corner[0])
    top_left, bottom_left = sorted(by_x[:2], key=lambda corner: corner[1])
    top_right, bottom_right = sorted(by_x[2:], key=lambda corner: corner[1])
    return np.array([top_left, top_right, bottom_right, bottom_left], dtype=np.float64)


def short_side(polygon: Polygon) -> float:
    """Shorter side of the minimum-area rectangle in pixels: the text height of a word."""
    return float(min(_minimum_area_rectangle(polygon)[1]))


def measure_line(polygon: Polygon) -> tuple[float, float, float]:
    """Measure a line of text by its minimum-area rectangle.

    Returns:
        Length and height of the line in pixels (the longer and the shorter side), and the angle
        between its longer side and the horizontal, in degrees from 0 to 90.
    """
    corners = cv2.boxPoints(_minimum_area_rectangle(polygon)).astype(np.float64)
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    short, along = sorted([first, second], key=lambda side: float(np.hypot(*side)))
    tilt = np.degrees(np.arctan2(abs(along[1]), abs(along[0])))
    return float(np.hypot(*along)), float(np.hypot(*short)), float(tilt)


def _minimum_area_rectangle(polygon: Polygon) -> tuple[Sequence[float], Sequence[float], float]:
    """OpenCV's centre, sides and angle; it computes in float32."""
    return cv2.minAreaRect(polygon.astype(np.float32))
