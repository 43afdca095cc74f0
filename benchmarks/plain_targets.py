"""DBNet's training targets in the way of its authors' code: a distance map an edge of each word.

A yardstick for the package's own target drawing, which it shares no code with. Liao et al.,
"Real-time Scene Text Detection with Differentiable Binarization", 2020, section 3.4.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import NDArray

Map = NDArray[np.float32]
Distances = NDArray[np.float64]


class PlainTargets(NamedTuple):
    """The four maps of a page, each (height, width)."""

    shrink_map: Map
    shrink_mask: Map
    threshold_map: Map
    threshold_mask: Map


def render_targets(  # noqa: PLR0913 - the three settings of the maps
    polygons: Sequence[NDArray[np.float64]],
    height: int,
    width: int,
    *,
    shrink_ratio: float = 0.4,
    threshold_low: float = 0.3,
    threshold_high: float = 0.7,
) -> PlainTargets:
    """Draw the shrink map, the threshold map and their masks.

    Words are (P, 2) in pixels of the (height, width) frame, truncated. They shrink and grow by
    ``area * (1 - shrink_ratio^2) / perimeter``; those without an area, or of which shrinking leaves
    nothing, are masked in the shrink mask. The high threshold is that on the outlines.
    """
    shrink_map = np.zeros((height, width), dtype=np.float32)
    shrink_mask = np.ones((height, width), dtype=np.float32)
    border = np.zeros((height, width), dtype=np.float32)
    threshold_mask = np.zeros((height, width), dtype=np.float32)
    for polygon in polygons:
        word = np.trunc(polygon).astype(np.int64)
        shape = shapely.Polygon(word)
        distance = shape.area * (1 - shrink_ratio**2) / shape.length if shape.area else 0.0
        kernels = _offset(word, -distance) if shape.area else []
        if not kernels:
            cv2.fillPoly(shrink_mask, [word.astype(np.int32)], [0.0])
            continue
        for kernel in kernels:
            cv2.fillPoly(shrink_map, [kernel.astype(np.int32)], [1.0])
        grown = _offset(word, distance)
        for outline in grown:
            cv2.fillPoly(threshold_mask, [outline.astype(np.int32)], [1.0])
        _draw_border(border, word, np.concatenate([word, *grown]), distance)
    threshold_map = border * (threshold_high - threshold_low) + threshold_low
    return PlainTargets(shrink_map, shrink_mask, threshold_map, threshold_mask)


def _offset(word: NDArray[np.int64], distance: float) -> list[NDArray[np.int64]]:
    """Grow (distance > 0) or shrink (< 0) a word with rounded joins."""
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(word.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return [np.array(piece, dtype=np.int64) for piece in offset.Execute(distance)]


def _draw_border(
    border: Map, word: NDArray[np.int64], bounds: NDArray[np.int64], distance: float
) -> None:
    """Raise the map inside the bounds near the word's outline: 1 on it, 0 from the offset on."""
    height, width = border.shape
    left, top = np.maximum(bounds.min(axis=0), 0)
    right, bottom = np.minimum(bounds.max(axis=0), (width - 1, height - 1))
    if left > right or top > bottom:
        return
    columns, rows = np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1))
    distances = np.zeros((len(word), *rows.shape), dtype=np.float32)
    for index, (start, end) in enumerate(zip(word, np.roll(word, -1, axis=0), strict=True)):
        away = _edge_distance(columns, rows, start, end)
        distances[index] = np.clip(away / distance, 0, 1)
    nearness = 1 - distances.min(axis=0)
    window = border[top : bottom + 1, left : right + 1]
    np.maximum(window, nearness, out=window)


def _edge_distance(
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> Distances:
    """Distance of every pixel to one edge, in pixels.

    Perpendicular where the pixel sees the edge under 90 degrees or more (by the law of cosines),
    else to the nearer end.
    """
    to_start = np.square(columns - start[0]) + np.square(rows - start[1])
    to_end = np.square(columns - end[0]) + np.square(rows - end[1])
    length = np.square(end[0] - start[0]) + np.square(end[1] - start[1])
    with np.errstate(divide="ignore", invalid="ignore"):  # on the ends, and edges of no length
        cosine = (length - to_start - to_end) / (2 * np.sqrt(to_start * to_end))
        sine = np.nan_to_num(1 - np.square(cosine))
        perpendicular = np.nan_to_num(np.sqrt(to_start * to_end * sine / length), posinf=0.0)
    nearer_end = np.sqrt(np.minimum(to_start, to_end))
    distance: Distances = np.where(to_start + to_end <= length, perpendicular, nearer_end)
    return distance
