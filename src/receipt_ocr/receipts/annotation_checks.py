"""Checks on one page name, one annotated word, and the frame in which a page was annotated."""

from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np

from receipt_ocr.geometry.polygons import (
    Polygon,
    PolygonError,
    as_polygon,
    distance_outside,
    polygon_area,
    uncross_quad,
)
from receipt_ocr.receipts.images import ImageInfo


class PlacedPolygon(NamedTuple):
    """A usable word polygon and what was done to make it usable."""

    polygon: Polygon
    """(P, 2) upright page pixels."""
    clipped_points: int
    """Number of points that were moved onto the edge of the page."""
    is_reordered: bool
    """Whether a bow-tie's corners were put in order."""


def is_safe_name(name: str) -> bool:
    """Whether a page's name is a plain file name, so that it cannot leave the image folder."""
    is_plain = name == PurePosixPath(name).name == PureWindowsPath(name).name
    return is_plain and name not in {"", ".", ".."} and name.isprintable()


def parse_polygon(word: Any) -> Polygon:
    """Read the polygon of one word's JSON, in the pixels in which it was annotated.

    Raises:
        PolygonError: If there are no points (reason ``no_points``), or as `as_polygon`.
    """
    if not isinstance(word, Mapping) or "points" not in word:
        raise PolygonError("no_points", f"a word must be an object with 'points', got {word!r:.80}")
    return as_polygon(word["points"])


def place_on_page(polygon: Polygon, info: ImageInfo, margin: float) -> PlacedPolygon:
    """Put a polygon's corners in order, clip it to the page, and check what is left.

    Args:
        polygon: (P, 2) upright page pixels.
        info: Size of the page.
        margin: A point up to this many pixels outside the page is moved onto its edge.

    Raises:
        PolygonError: If the polygon has no area (reason ``zero_area``) or has points farther
            outside than the margin, or only outside (``outside_page``).
    """
    ordered = uncross_quad(polygon)
    is_reordered = ordered is not polygon
    if polygon_area(ordered) == 0:
        raise PolygonError("zero_area", "the polygon encloses no area")
    outside = distance_outside(ordered, info.width, info.height)
    if outside == 0:
        return PlacedPolygon(ordered, 0, is_reordered)
    if outside > margin:
        message = f"a point lies {outside:.1f} px outside the {info.width}x{info.height} page"
        raise PolygonError("outside_page", f"{message}, more than the {margin:g} px allowed")
    clipped = np.clip(ordered, 0.0, (info.width, info.height))
    if polygon_area(clipped) == 0:
        raise PolygonError("outside_page", "no part of the polygon lies on the page")
    clipped_points = int((clipped != ordered).any(axis=1).sum())
    return PlacedPolygon(clipped, clipped_points, is_reordered)


def fits_only_stored_frame(polygons: list[Polygon], info: ImageInfo, margin: float) -> bool:
    """Whether the words were drawn on the pixels as stored, before EXIF turned the page.

    True if more words lie over ``margin`` pixels outside the upright page than outside the stored
    image. It is a count, because a single wild polygon must not decide for the page. Orientations
    that keep width and height (mirrored, upside down) cannot be told apart this way.
    """
    if info.stored_size == (info.width, info.height):
        return False
    upright, stored = (
        sum(distance_outside(polygon, *size) > margin for polygon in polygons)
        for size in ((info.width, info.height), info.stored_size)
    )
    return stored < upright
