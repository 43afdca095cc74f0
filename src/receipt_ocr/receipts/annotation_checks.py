"""What makes one annotated word usable, and in which frame a page's words were drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from receipt_ocr.geometry.polygons import (
    Matrix,
    Polygon,
    PolygonError,
    as_polygon,
    polygon_area,
    transform_polygon,
)
from receipt_ocr.receipts.images import ImageInfo

__all__ = [
    "CheckedPolygon",
    "fits_only_stored_frame",
    "is_safe_name",
    "parse_polygon",
    "place_on_page",
]


@dataclass(frozen=True)
class CheckedPolygon:
    """A usable word polygon in upright page pixels and what was done to make it so."""

    polygon: Polygon
    clipped_points: int
    is_reordered: bool


def is_safe_name(name: str) -> bool:
    """Whether a page's name is a plain file name, so that it cannot leave the image folder."""
    is_plain = name == PurePosixPath(name).name == PureWindowsPath(name).name
    return is_plain and name not in {"", ".", ".."} and name.isprintable()


def parse_polygon(word: Any) -> Polygon:
    """The polygon of one word's JSON entry, in the pixels in which it was annotated.

    Args:
        word: ``{"points": [[x, y], ...], ...}``.

    Raises:
        PolygonError: If there are no points or they make no polygon.
    """
    if not isinstance(word, Mapping) or "points" not in word:
        raise PolygonError("no_points", f"a word must be an object with 'points', got {word!r:.80}")
    return as_polygon(word["points"])


def place_on_page(
    polygon: Polygon, info: ImageInfo, margin: float, to_upright: Matrix | None = None
) -> CheckedPolygon:
    """Bring a polygon onto the upright page: turn, put in order, clip, check.

    Args:
        polygon: (P, 2) pixels as annotated.
        info: The page.
        margin: A point up to this many pixels outside the page is moved onto its edge.
        to_upright: Matrix from the annotated frame to the upright page; None if they are one.

    Raises:
        PolygonError: If the polygon has no area (reason ``zero_area``) or has points farther
            outside than the margin, or only outside (``outside_page``).
    """
    upright = polygon if to_upright is None else transform_polygon(polygon, to_upright)
    ordered = _uncross_quad(upright)
    if polygon_area(ordered) == 0:
        raise PolygonError("zero_area", "the polygon encloses no area")
    outside = _distance_outside(ordered, info.width, info.height)
    if outside == 0:
        return CheckedPolygon(ordered, 0, ordered is not upright)
    if outside > margin:
        message = f"a point lies {outside:.1f} px outside the {info.width}x{info.height} page"
        raise PolygonError("outside_page", f"{message}, more than the {margin:g} px allowed")
    clipped = np.clip(ordered, 0.0, (info.width, info.height))
    if polygon_area(clipped) == 0:
        raise PolygonError("outside_page", "no part of the polygon lies on the page")
    clipped_points = int((clipped != ordered).any(axis=1).sum())
    return CheckedPolygon(clipped, clipped_points, ordered is not upright)


def fits_only_stored_frame(polygons: list[Polygon], info: ImageInfo, margin: float) -> bool:
    """Whether the words were drawn on the pixels as stored, before EXIF turned the page.

    That is so where more words lie far outside the upright page than outside the stored image;
    a count, because a single wild polygon must not decide for the page. Orientations that keep
    width and height (mirrored, upside down) cannot be told apart this way.

    Args:
        polygons: The page's polygons, each (P, 2), in one unknown frame.
        info: The page.
        margin: Pixels a point may lie outside.
    """
    if info.stored_size == (info.width, info.height):
        return False
    outside_upright = sum(_distance_outside(p, info.width, info.height) > margin for p in polygons)
    outside_stored = sum(_distance_outside(p, *info.stored_size) > margin for p in polygons)
    return outside_stored < outside_upright


def _distance_outside(polygon: Polygon, width: int, height: int) -> float:
    """How far the farthest point lies outside the frame, along x or y; 0 inside."""
    left, top = polygon.min(axis=0)
    right, bottom = polygon.max(axis=0)
    return float(max(-left, -top, right - width, bottom - height, 0.0))


def _uncross_quad(polygon: Polygon) -> Polygon:
    """A quad drawn as a bow-tie (corners in the wrong order) with its corners in order.

    The four corners of a bow-tie always make one convex quad, the one that was meant; its
    shoelace area may be 0, and targets cannot be drawn from it. Anything else is returned as is.
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
    """Whether the segments ab and cd properly cross."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: list[float], b: list[float], point: list[float]) -> float:
    """Sign of the side of the line ab on which a point lies."""
    cross = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return math.copysign(1.0, cross) if cross else 0.0
