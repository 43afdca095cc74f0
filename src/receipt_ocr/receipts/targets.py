"""Training targets of a page: DBNet's shrink map and threshold map, with masks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.batch import PolygonBatch, join_polygons, paint_polygons
from receipt_ocr.geometry.compiled import compiled
from receipt_ocr.geometry.polygons import Polygon, offset_path
from receipt_ocr.receipts.settings import TargetSettings

__all__ = ["TargetSettings", "Targets", "render_targets"]

_DEFAULTS = TargetSettings()

_Mask = NDArray[np.float32] | NDArray[np.uint8]
_Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Targets:
    """The four maps of a page, each (height, width).

    The threshold map is float32; the others hold zeros and ones, in float32 or uint8.
    """

    shrink_map: _Mask
    """1 in the kernels (the shrunk words), else 0."""
    shrink_mask: _Mask
    """1 where the shrink map counts in the loss; 0 in masked words."""
    threshold_map: NDArray[np.float32]
    """``threshold_high`` on a word's outline, falling to ``threshold_low`` at the offset."""
    threshold_mask: _Mask
    """1 where the threshold map counts in the loss: inside the words grown by the offset."""


def render_targets(  # noqa: PLR0913  # all but the first three have defaults
    polygons: Sequence[Polygon],
    height: int,
    width: int,
    settings: TargetSettings = _DEFAULTS,
    *,
    ignored: Sequence[bool] | None = None,
    mask_type: type[np.float32 | np.uint8] = np.float32,
) -> Targets:
    """Draw the training targets of a page (Liao et al., 2020, sections 3.4 and 3.5).

    Coordinates are truncated to whole pixels first, as in the common DBNet code. A word is shrunk
    and grown by the offset ``area * (1 - shrink_ratio^2) / perimeter``, with rounded joins.

    - A don't-care word, a tiny one (a side of its bounding box is under ``min_height``) and a
      degenerate one (no area, or no kernel) is masked: its pixels are 0 in ``shrink_mask``, and
      it leaves no trace in the other maps.
    - Masking never reaches into a learnt word: all its pixels count, even where a masked word
      lies over it.
    - A polygon that touches or crosses itself is learnt if its signed parts leave an area; all
      the pieces it shrinks to are kernels.
    - A polygon partly outside the frame is drawn as far as it is inside.
    - A page without words is a valid target: all of ``shrink_mask`` and none of
      ``threshold_mask`` counts.

    Args:
        polygons: The words, each (P, 2) in pixels of the (height, width) frame.
        height: Frame height in pixels.
        width: Frame width in pixels.
        settings: Shrink ratio, threshold range and the smallest word to learn.
        ignored: Which polygons are don't-care; by default none.
        mask_type: Type of the three maps of zeros and ones. Bytes are faster to write, to store
            and to send to a device.

    Returns:
        The maps and the masks of their losses.

    Raises:
        ValueError: If ``ignored`` has another length than ``polygons``, the frame has no size, or
            a polygon is not a (P, 2) array of finite numbers within a million pixels.
    """
    flags = [False] * len(polygons) if ignored is None else list(ignored)
    if len(flags) != len(polygons):
        raise ValueError(f"ignored needs one flag a polygon: {len(polygons)}, got {len(flags)}")
    if min(height, width) < 1:
        raise ValueError(f"a frame has a size in pixels, got {width} x {height}")
    given = join_polygons(polygons, "polygon")
    if not given.sizes.all():
        raise ValueError(f"polygon {int(given.sizes.argmin())} must have a point or more, got none")
    words = PolygonBatch(np.trunc(given.points), given.starts)
    measures = words.measure()
    is_learnable = ~np.array(flags, dtype=np.bool_) & (measures.areas > 0.0)
    is_learnable &= ~_are_tiny(given, settings)
    distances = np.zeros(len(words))
    np.divide(
        measures.areas * (1.0 - settings.shrink_ratio**2),
        measures.perimeters,
        out=distances,
        where=is_learnable,
    )
    targets = _blank_targets(height, width, settings.threshold_low, mask_type)
    learnt = _draw_kernels(targets, words, distances, np.flatnonzero(is_learnable))
    _draw_borders(targets, words.take(learnt), distances[learnt], settings)
    if len(learnt) < len(words):
        masked = np.setdiff1d(np.arange(len(words)), learnt)
        paint_polygons(targets.shrink_mask, words.take(masked), 0.0)
        paint_polygons(targets.shrink_mask, words.take(learnt), 1.0)  # learnt words lie on top
    return targets


def _are_tiny(words: PolygonBatch, settings: TargetSettings) -> NDArray[np.bool_]:
    """Mark the words, (W,), whose bounding box has a side under the smallest height to learn."""
    boxes = words.measure().boxes
    sides: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    return sides < settings.min_height


def _blank_targets(
    height: int, width: int, threshold: float, mask_type: type[np.float32 | np.uint8]
) -> Targets:
    """Allocate the targets of a page without words."""
    pixels = height * width
    # One large block comes in huge memory pages, which is many times faster than four arrays.
    block = np.empty(pixels * (4 + 3 * np.dtype(mask_type).itemsize), dtype=np.uint8)
    threshold_map = block[: 4 * pixels].view(np.float32).reshape(height, width)
    threshold_map.fill(threshold)
    masks: Any = block[4 * pixels :].view(mask_type).reshape(3, height, width)
    for blank, value in zip(masks, (0, 1, 0), strict=True):
        blank.fill(value)
    shrink_map, shrink_mask, threshold_mask = masks
    return Targets(shrink_map, shrink_mask, threshold_map, threshold_mask)


def _draw_kernels(
    targets: Targets, words: PolygonBatch, distances: NDArray[np.float64], learnable: _Indices
) -> _Indices:
    """Draw the kernels of the learnable words; return the words that have one."""
    paths = words.paths()
    kernels = [offset_path(paths[word], -distances[word]) for word in learnable.tolist()]
    pieces = [piece for shrunk in kernels for piece in shrunk]
    paint_polygons(targets.shrink_map, PolygonBatch.join_paths(pieces), 1.0)
    learnt: _Indices = learnable[[len(shrunk) > 0 for shrunk in kernels]]
    return learnt


def _draw_borders(
    targets: Targets, words: PolygonBatch, distances: NDArray[np.float64], settings: TargetSettings
) -> None:
    """Draw the threshold map and its mask around the words' outlines."""
    grown = [
        offset_path(path, distance)
        for path, distance in zip(words.paths(), distances.tolist(), strict=True)
    ]
    outlines = PolygonBatch.join_paths([piece for pieces in grown for piece in pieces])
    paint_polygons(targets.threshold_mask, outlines, 1.0)
    owners = np.repeat(np.arange(len(words)), [len(pieces) for pieces in grown])
    # A word's threshold changes only inside the bounding box of the word and its grown pieces.
    windows, boxes = words.measure().boxes, outlines.measure().boxes
    np.minimum.at(windows[:, :2], owners, boxes[:, :2])
    np.maximum.at(windows[:, 2:], owners, boxes[:, 2:])
    # At shrink ratio 1 the offset is 0, and only the outline itself is raised.
    reaches = np.maximum(distances, np.finfo(np.float32).eps)
    thresholds = (settings.threshold_low, settings.threshold_high)
    _raise_thresholds(
        targets.threshold_map, windows, (words.points, words.starts), reaches, thresholds
    )


@compiled
def _raise_thresholds(
    threshold_map: NDArray[np.float32],
    windows: NDArray[np.float64],
    words: tuple[Polygon, _Indices],
    reaches: NDArray[np.float64],
    thresholds: tuple[float, float],
) -> None:
    """Raise a map around the outlines of all words, a batch's points and starts."""
    points, starts = words
    for index in range(len(windows)):
        word = points[starts[index] : starts[index + 1]]
        _raise_threshold(threshold_map, windows[index], word, reaches[index], thresholds)


@compiled
def _raise_threshold(
    threshold_map: NDArray[np.float32],
    window: NDArray[np.float64],
    word: Polygon,
    reach: float,
    thresholds: tuple[float, float],
) -> None:
    """Raise a map around a word's outline.

    The common DBNet code measures the distance to an edge by the perpendicular where the pixel
    sees the edge under 90 degrees or more, which is in the circle over the edge (Thales), and by
    the nearer end elsewhere. A perpendicular is never longer than the way to an end, so the ends
    of all edges may count everywhere. Only pixels within reach of an edge or an end are visited,
    and the inner loops run along a row without a branch, so that they use vector instructions.

    Args:
        threshold_map: (H, W), changed in place.
        window: (4,) left, top, right, bottom of what may change; may lie outside the map.
        word: (P, 2) whole pixels.
        reach: The offset in pixels, more than 0.
        thresholds: The value at ``reach`` and beyond, and the value on the outline.
    """
    height, width = threshold_map.shape
    rows = _span(max(window[1], 0.0), min(window[3], height - 1.0))
    columns = _span(max(window[0], 0.0), min(window[2], width - 1.0))
    squared = np.full((len(rows), len(columns)), reach * reach)  # distances in the window
    for k in range(len(word)):
        x1, y1 = word[k - 1, 0] - columns.start, word[k - 1, 1] - rows.start
        x2, y2 = word[k, 0] - columns.start, word[k, 1] - rows.start
        _approach_end(squared, (x2, y2), reach)
        if x1 != x2 or y1 != y2:
            _approach_edge(squared, (x1, y1), (x2, y2), reach)
    low, high = thresholds
    fall = (high - low) / reach
    for row in range(len(rows)):
        line = threshold_map[rows.start + row, columns.start : columns.stop]
        for i in range(len(line)):
            raised = np.float32(high - fall * math.sqrt(squared[row, i]))
            line[i] = raised if raised > line[i] else line[i]


@compiled
def _approach_end(squared: NDArray[np.float64], end: tuple[float, float], reach: float) -> None:
    """Lower squared distances, (rows, columns), to those from an end of an edge."""
    height, width = squared.shape
    x, y = end
    for row in _span(max(0.0, y - reach), min(height - 1.0, y + reach)):
        down = (row - y) * (row - y)
        half = math.sqrt(max(reach * reach - down, 0.0))
        columns = _span(max(0.0, x - half), min(width - 1.0, x + half))
        line = squared[row, columns.start : columns.stop]
        start = columns.start - x
        for i in range(len(line)):
            away = (start + i) * (start + i) + down
            line[i] = away if away < line[i] else line[i]


@compiled
def _approach_edge(
    squared: NDArray[np.float64],
    start: tuple[float, float],
    end: tuple[float, float],
    reach: float,
) -> None:
    """Lower squared distances to the perpendiculars on an edge, inside the circle over it."""
    height, width = squared.shape
    (x1, y1), (x2, y2) = start, end
    length = math.hypot(x2 - x1, y2 - y1)
    along_x, along_y = (x2 - x1) / length, (y2 - y1) / length
    middle_x, middle_y = 0.5 * (x1 + x2), 0.5 * (y1 + y2)
    top = max(0.0, min(y1, y2) - reach, middle_y - 0.5 * length)
    bottom = min(height - 1.0, max(y1, y2) + reach, middle_y + 0.5 * length)
    for row in _span(top, bottom):
        down = row - y1
        sight = down * (row - y2)
        half = math.sqrt(max(0.25 * (x2 - x1) * (x2 - x1) - sight, 0.0)) + 1.0
        left, right = max(0.0, middle_x - half), min(width - 1.0, middle_x + half)
        if along_y != 0.0:  # a level edge has its whole row within reach
            foot = x1 + along_x * down / along_y
            half = abs(reach / along_y) + 1.0
            left, right = max(left, foot - half), min(right, foot + half)
        columns = _span(left, right)
        first, stop = columns.start, columns.stop
        # Rounding may have put the ends of the interval just outside the circle.
        while first < stop and (first - x1) * (first - x2) + sight > 0.0:
            first += 1
        while first < stop and (stop - 1 - x1) * (stop - 1 - x2) + sight > 0.0:
            stop -= 1
        line = squared[row, first:stop]
        offset = along_x * down - along_y * (first - x1)
        for i in range(len(line)):
            away = (offset - along_y * i) * (offset - along_y * i)
            line[i] = away if away < line[i] else line[i]


@compiled
def _span(low: float, high: float) -> range:
    """The whole numbers from low to high; none if high is less than low."""
    first = math.ceil(low)
    return range(first, max(first, math.floor(high) + 1))
