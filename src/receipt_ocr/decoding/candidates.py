"""Text kernels of a probability map at one threshold, with their scores."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import MapValues, check_map
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.batch import Measures, PolygonBatch
from receipt_ocr.geometry.compiled import compiled
from receipt_ocr.geometry.polygons import Path, minimum_area_box, short_side

_DEFAULTS = PostprocessSettings()

_KERNEL_ALLOWANCE = 2.0  # map pixels that a kernel may be narrower than its word (``min_size``)
_NOISE_FACTOR = 5
_LEVELS = np.arange(256, dtype=np.float32) / np.float32(255.0)  # of an 8-bit map
_PAINT = 255  # on a canvas of zeros and ones
_OUTLINE_TOLERANCE = 0.002  # of the outline's length


@dataclass(frozen=True)
class Candidates:
    """The N text kernels of a map at one threshold, in map pixels."""

    kernels: PolygonBatch
    """Simplified contours, or their minimum-area boxes."""
    scores: NDArray[np.float64]
    """(N,) mean of the map inside each kernel."""
    contour_indices: NDArray[np.intp]
    """(N,) place of each kernel's contour among all contours of the map."""
    widths: NDArray[np.float64]
    """(N,) shorter side of each kernel's box, which ``min_size`` limits for the shape ``"box"``;
    infinite for ``"polygon"``."""

    @cached_property
    def measures(self) -> Measures:
        """Areas, perimeters and bounding boxes of the kernels."""
        return self.kernels.measure()

    @cached_property
    def paths(self) -> list[Path]:
        """The kernels, for `receipt_ocr.geometry.polygons.offset_path`."""
        return self.kernels.paths()


def find_candidates(
    probability_map: MapValues,
    thresh: float,
    shape: Literal["polygon", "box"] = "polygon",
    min_size: float = _DEFAULTS.min_size,
) -> Candidates:
    """Find all text kernels of a map and score them, in the order of their contours.

    Args:
        probability_map: (H, W) text probability, float in [0, 1] or uint8 (value / 255).
        thresh: Threshold; text is where the probability is greater.
        shape: ``"polygon"`` keeps contours of 4 points or more; ``"box"`` their minimum-area
            boxes, unless the shorter side is more than 2 pixels under ``min_size``.
        min_size: See ``PostprocessSettings``.

    Raises:
        ValueError: If the map is not (H, W) with values in [0, 1].
    """
    values, scale = check_map(probability_map)
    text = _binarise(values, thresh)
    contours, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    kernels: list[NDArray[Any]] = []
    indices: list[int] = []
    widths: list[float] = []
    for index, contour in enumerate(contours):
        if shape == "polygon":
            tolerance = _OUTLINE_TOLERANCE * cv2.arcLength(contour, True)
            kernel = cv2.approxPolyDP(contour, tolerance, True).reshape(-1, 2)
            width = np.inf
        else:
            outline = contour.reshape(-1, 2).astype(np.float64)
            width, kernel = short_side(outline), minimum_area_box(outline)
        if len(kernel) >= 4 and width >= min_size - _KERNEL_ALLOWANCE:
            kernels.append(kernel)
            indices.append(index)
            widths.append(width)
    batch = PolygonBatch.join(kernels)
    return Candidates(
        kernels=batch,
        scores=_score_kernels(values, scale, batch, text),
        contour_indices=np.array(indices, dtype=np.intp),
        widths=np.array(widths, dtype=np.float64),
    )


def select_candidates(candidates: Candidates, settings: PostprocessSettings) -> NDArray[np.intp]:
    """Select candidates that are wide enough, reach ``box_thresh`` and are in ``max_candidates``.

    The order ``"score"`` ranks by score; ``"contour"`` counts all contours of the map, also those
    that are no candidates, as the contest does. The (M,) indices are in output order.
    """
    passes = candidates.scores >= settings.box_thresh
    passes &= candidates.widths >= settings.min_size - _KERNEL_ALLOWANCE
    if settings.candidate_order == "contour":
        return np.flatnonzero(passes & (candidates.contour_indices < settings.max_candidates))
    ranked = np.argsort(-candidates.scores, kind="stable")
    return ranked[passes[ranked]][: settings.max_candidates]


def is_noise(probability_map: MapValues, settings: PostprocessSettings) -> bool:
    """Whether a map falls into more pieces than any page of text.

    The maps of a network's first epochs do; decoding one takes seconds and finds nothing. Noise
    has more than five pieces at ``thresh`` for each of ``max_candidates``.
    """
    values, _ = check_map(probability_map)
    pieces, _ = cv2.connectedComponents(_binarise(values, settings.thresh))
    return pieces - 1 > _NOISE_FACTOR * settings.max_candidates


def _binarise(values: MapValues, thresh: float) -> NDArray[np.uint8]:
    """1 where the probability is greater than the threshold (compared in float32), else 0."""
    if values.dtype == np.uint8:
        lowest = int(np.searchsorted(_LEVELS, np.float32(thresh), side="right"))  # of text
        text = cv2.threshold(values, lowest - 1, 1, cv2.THRESH_BINARY)[1]
    else:
        text = (values > np.float32(thresh)).astype(np.uint8)
    return cast(NDArray[np.uint8], text)


def _score_kernels(
    values: MapValues, scale: np.float32, kernels: PolygonBatch, canvas: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Mean probability under each filled kernel, (N,).

    Paints on the canvas: another array of the map's size would cost more than the scores.
    """
    whole = PolygonBatch(np.trunc(kernels.points), kernels.starts)
    outlines = list(PolygonBatch(whole.points.astype(np.int32), whole.starts))
    boxes = whole.measure().boxes.astype(np.intp)
    is_alone = np.ones(len(whole), dtype=np.bool_)
    _mark_neighbours(is_alone, boxes, np.argsort(boxes[:, 1]))
    scores = np.zeros(len(outlines))
    # OpenCV fills what overlaps by the even-odd rule: only kernels apart go in one call.
    apart = np.flatnonzero(is_alone)
    for group in [apart, *np.flatnonzero(~is_alone)[:, None]]:
        cv2.fillPoly(canvas, [outlines[index] for index in group], [_PAINT])
        _fill_means(scores, group, boxes, canvas, (values, scale))
    return scores


@compiled
def _mark_neighbours(
    is_alone: NDArray[np.bool_], boxes: NDArray[np.intp], downwards: NDArray[np.intp]
) -> None:
    """Set ``is_alone`` to false for (N, 4) boxes that share a pixel with another.

    ``downwards`` orders the boxes by their upper side.
    """
    for place in range(len(boxes)):
        upper = downwards[place]
        for other in downwards[place + 1 :]:
            if boxes[other, 1] > boxes[upper, 3]:
                break
            if boxes[other, 0] <= boxes[upper, 2] and boxes[upper, 0] <= boxes[other, 2]:
                is_alone[upper] = is_alone[other] = False


@compiled
def _fill_means(
    scores: NDArray[np.float64],
    group: NDArray[np.intp],
    boxes: NDArray[np.intp],
    canvas: NDArray[np.uint8],
    divided: tuple[MapValues, np.float32],
) -> None:
    """Fill in each kernel's mean probability, and wipe its paint off the canvas.

    Equal to OpenCV's mean to the last bit. The probability is ``divided[0] / divided[1]``.
    """
    values, scale = divided
    height, width = canvas.shape
    for index in group:
        left, top, right, bottom = boxes[index]
        total, count = 0.0, 0
        for row in range(max(top, 0), min(bottom, height - 1) + 1):
            for column in range(max(left, 0), min(right, width - 1) + 1):
                is_inside = canvas[row, column] == _PAINT
                canvas[row, column] = 0
                # No branch: which pixels are inside is hard to predict.
                total += is_inside * float(np.float32(values[row, column]) / scale)
                count += is_inside
        if count:
            scores[index] = total * (1.0 / count)
