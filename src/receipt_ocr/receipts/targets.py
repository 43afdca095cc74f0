"""What the network learns from a page: the shrink map and the threshold map of DBNet."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry import (
    Polygon,
    bounding_box,
    fill_polygons,
    next_vertices,
    offset_polygon,
    perimeter,
    polygon_area,
)
from receipt_ocr.receipts.settings import TargetSettings

__all__ = ["TargetSettings", "Targets", "render_targets"]

_DEFAULTS = TargetSettings()

_FAR = np.float32(1e20)  # squared pixels; times a map's squared diagonal it is still finite

_Map = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """The four maps of a page, each (height, width) float32."""

    shrink_map: _Map
    """1 in the shrunk kernels of the words, else 0."""
    shrink_mask: _Map
    """1 where the shrink map counts in the loss; 0 in masked words."""
    threshold_map: _Map
    """``threshold_high`` on the words' outlines, falling to ``threshold_low`` at the offset."""
    threshold_mask: _Map
    """1 where the threshold map counts: inside the words grown by the offset."""


def render_targets(
    polygons: Sequence[Polygon],
    height: int,
    width: int,
    settings: TargetSettings = _DEFAULTS,
    *,
    ignored: Sequence[bool] | None = None,
) -> Targets:
    """Draw the training targets of a page.

    Coordinates are truncated to whole pixels first, as in the common DBNet code. A word is
    shrunk and grown by ``area * (1 - shrink_ratio^2) / perimeter`` with rounded joins.

    - A don't-care word, a tiny one (a bounding box side under ``min_height``) and a degenerate
      one (no area, or nothing left after shrinking) is masked: its pixels are 0 in
      ``shrink_mask`` and it leaves no trace in the other maps.
    - Masking never reaches into a learnt word: all pixels of a learnt polygon count, also where
      a masked one lies over it.
    - A polygon that touches or crosses itself is learnt if its signed parts leave an area; all
      the pieces it shrinks to are kernels.
    - A polygon partly outside the frame is drawn as far as it is inside.
    - A page without words is a valid target: nothing to find, everything counts in
      ``shrink_mask`` and nothing in ``threshold_mask``.

    Args:
        polygons: The words, each (P, 2) in pixels of the (height, width) frame.
        height: Frame height in pixels.
        width: Frame width in pixels.
        settings: Shrink ratio, threshold range and the smallest word to learn.
        ignored: For each polygon whether it is don't care; none is by default.

    Returns:
        The maps and the masks of their losses.

    Raises:
        ValueError: If ``ignored`` has another length than ``polygons``, or a polygon is not a
            (P, 2) array of finite numbers.
    """
    flags = [False] * len(polygons) if ignored is None else list(ignored)
    if len(flags) != len(polygons):
        raise ValueError(f"ignored needs one flag a polygon: {len(polygons)}, got {len(flags)}")
    words = [_truncate(polygon, index) for index, polygon in enumerate(polygons)]
    kernels: list[Polygon] = []
    learnt: list[Polygon] = []
    masked: list[Polygon] = []
    threshold_map = np.full((height, width), settings.threshold_low, dtype=np.float32)
    threshold_mask = np.zeros((height, width), dtype=np.float32)
    for polygon, word, is_ignored in zip(polygons, words, flags, strict=True):
        distance = _offset_distance(word, settings.shrink_ratio)
        is_learnable = not is_ignored and distance is not None and not _is_tiny(polygon, settings)
        pieces = offset_polygon(word, -distance) if is_learnable and distance is not None else []
        if not pieces or distance is None:
            masked.append(word)
            continue
        kernels.extend(pieces)
        learnt.append(word)
        _draw_border(threshold_map, threshold_mask, word, distance, settings)
    shrink_map = fill_polygons(kernels, height, width).astype(np.float32)
    return Targets(
        shrink_map=shrink_map,
        shrink_mask=_loss_mask(masked, learnt, height, width),
        threshold_map=threshold_map,
        threshold_mask=threshold_mask,
    )


def _truncate(polygon: Polygon, index: int) -> Polygon:
    """The polygon on whole pixels."""
    points = np.asarray(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"polygon {index} must be a (P, 2) array, got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"polygon {index} must be finite, got NaN or infinity")
    return np.trunc(points)


def _offset_distance(word: Polygon, shrink_ratio: float) -> float | None:
    """How far a word is shrunk and grown, in pixels; None where it encloses no area."""
    area = polygon_area(word)
    return area * (1.0 - shrink_ratio**2) / perimeter(word) if area > 0.0 else None


def _is_tiny(polygon: Polygon, settings: TargetSettings) -> bool:
    """Whether a side of the bounding box is under the smallest height to learn."""
    left, top, right, bottom = bounding_box(polygon)
    return min(right - left, bottom - top) < settings.min_height


def _loss_mask(
    masked: Sequence[Polygon], learnt: Sequence[Polygon], height: int, width: int
) -> _Map:
    """1 everywhere but in the masked words; learnt words lie on top."""
    if not masked:
        return np.ones((height, width), dtype=np.float32)
    hidden = fill_polygons(masked, height, width)
    hidden[fill_polygons(learnt, height, width) > 0] = 0
    return np.float32(1.0) - hidden


def _draw_border(
    threshold_map: _Map,
    threshold_mask: _Map,
    word: Polygon,
    distance: float,
    settings: TargetSettings,
) -> None:
    """Raise the threshold around a word's outline, inside the box of the grown word only."""
    grown = offset_polygon(word, distance)
    for outline in grown:
        cv2.fillPoly(threshold_mask, [outline.astype(np.int32)], [1.0])
    left, top, right, bottom = bounding_box(np.concatenate([word, *grown]))
    height, width = threshold_map.shape
    first_row, first_column = max(int(top), 0), max(int(left), 0)
    rows = min(int(bottom) + 1, height) - first_row
    columns = min(int(right) + 1, width) - first_column
    if rows <= 0 or columns <= 0:
        return
    nearness = _outline_distance(word - (first_column, first_row), rows, columns)
    # At shrink ratio 1 the offset is 0: only the outline itself is raised.
    nearness *= -1.0 / max(distance, float(np.finfo(np.float32).eps))
    nearness += 1.0
    np.maximum(nearness, 0.0, out=nearness)
    nearness *= settings.threshold_high - settings.threshold_low
    nearness += settings.threshold_low
    window = threshold_map[first_row : first_row + rows, first_column : first_column + columns]
    np.maximum(window, nearness, out=window)


def _outline_distance(word: Polygon, rows: int, columns: int) -> _Map:
    """Distance of every pixel of a window to a word's outline, (rows, columns), in pixels.

    To an edge the perpendicular counts where the pixel sees it under 90 degrees or more, else
    the nearer end. A perpendicular is never longer than the way to an end, so the ends of all
    edges may enter the minimum without asking which edge they belong to.

    Args:
        word: (P, 2) pixels, relative to the window's first row and column.
        rows: Height of the window.
        columns: Width of the window.
    """
    # Per edge (E) everything is a sum of a part in x and a part in y: (E, h, 1) + (E, 1, w).
    # In a window float32 is exact enough, and twice as fast.
    start = word[(word != next_vertices(word)).any(axis=1)].astype(np.float32)
    end = next_vertices(start)
    edge = end - start
    along = edge / np.sqrt((edge * edge).sum(axis=1, keepdims=True))
    start_y = np.arange(rows, dtype=np.float32) - start[:, 1, None]  # (E, h)
    start_x = np.arange(columns, dtype=np.float32) - start[:, 0, None]  # (E, w)
    end_y = start_y - edge[:, 1, None]
    end_x = start_x - edge[:, 0, None]

    squared: _Map = _outer_sum(start_y * start_y, start_x * start_x).min(axis=0)
    perpendicular = _outer_sum(along[:, 0, None] * start_y, -along[:, 1, None] * start_x)
    perpendicular *= perpendicular
    # The scalar product of the ways to both ends is positive (on whole pixels 1 or more) under
    # 90 degrees: it rules the perpendicular out. A boolean index would be far slower.
    sight = _outer_sum(start_y * end_y, start_x * end_x)
    np.maximum(sight, 0.0, out=sight)
    sight *= _FAR
    perpendicular += sight
    np.minimum(squared, perpendicular.min(axis=0), out=squared)
    return np.sqrt(squared, out=squared)


def _outer_sum(of_rows: _Map, of_columns: _Map) -> _Map:
    """(E, h) and (E, w) added to (E, h, w)."""
    return of_rows[:, :, None] + of_columns[:, None, :]
