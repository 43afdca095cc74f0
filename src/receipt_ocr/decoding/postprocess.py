"""From a probability map to polygons on the page, step by step.

``find_candidates`` is the slow part and depends on ``thresh`` and ``shape`` alone;
``select_candidates`` and ``regrow_candidate`` apply the other settings to what it found, so that
a search need not look at the map again. ``extract_polygons`` chains them.
"""

import logging
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import as_probability
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry import (
    Matrix,
    Polygon,
    minimum_area_box,
    offset_polygon,
    perimeter,
    polygon_area,
    short_side,
    transform_polygon,
)

__all__ = [
    "Candidates",
    "Detections",
    "PostprocessSettings",
    "extract_polygons",
    "find_candidates",
    "is_noise",
    "place_on_page",
    "regrow_candidate",
    "select_candidates",
]

logger = logging.getLogger(__name__)

_DEFAULTS = PostprocessSettings()

# A kernel may be this much narrower than the regrown word (``min_size``), in map pixels.
_KERNEL_ALLOWANCE = 2.0
_NOISE_FACTOR = 5
_OUTLINE_TOLERANCE = 0.002  # of the outline's length


@dataclass(frozen=True)
class Detections:
    """The words found on a page."""

    polygons: tuple[Polygon, ...]
    """Each (P, 2), whole page pixels; a vertex may lie a pixel outside the page."""
    scores: NDArray[np.float64]
    """(N,) mean probability inside each word's kernel."""


@dataclass(frozen=True)
class Candidates:
    """The text kernels that stand out of a map at one threshold, in map pixels."""

    kernels: tuple[Polygon, ...]
    """Each (P, 2): the simplified contour, or its minimum-area box."""
    scores: NDArray[np.float64]
    """(N,) mean of the map inside each kernel."""
    contour_indices: NDArray[np.int64]
    """(N,) place of each kernel's contour among all contours of the map."""


def extract_polygons(
    probability_map: NDArray[np.float32] | NDArray[np.uint8],
    map_to_page: Matrix,
    settings: PostprocessSettings = _DEFAULTS,
) -> Detections:
    """The words of a page as polygons, in the order of ``settings.candidate_order``.

    With the order ``"contour"`` these are the contest's steps to the integer. An offset that
    falls apart into several polygons, or has a hole, drops its candidate, as there.

    Args:
        probability_map: (H, W) text probability, float in [0, 1] or uint8 (value / 255).
        map_to_page: 3x3 matrix from map pixels to page pixels.
        settings: Thresholds, regrowth and the number of candidates.

    Returns:
        Polygons and scores, best score first (ties: lower contours first) or by contour.

    Raises:
        ValueError: If the map is not (H, W) with values in [0, 1], or the matrix not 3x3.
    """
    candidates = find_candidates(
        probability_map, settings.thresh, settings.shape, settings.min_size
    )
    selected = select_candidates(candidates, settings)
    passing = int(np.count_nonzero(candidates.scores >= settings.box_thresh))
    if passing > len(selected):
        logger.warning(
            "max_candidates=%d keeps %d of the %d candidates that reach box_thresh=%g; "
            "words are lost unless max_candidates is raised",
            settings.max_candidates,
            len(selected),
            passing,
            settings.box_thresh,
        )
    grown = [regrow_candidate(candidates.kernels[index], settings) for index in selected]
    return Detections(
        polygons=tuple(place_on_page(word, map_to_page) for word in grown if word is not None),
        scores=candidates.scores[selected][[word is not None for word in grown]],
    )


def find_candidates(
    probability_map: NDArray[np.float32] | NDArray[np.uint8],
    thresh: float,
    shape: Literal["polygon", "box"] = "polygon",
    min_size: float = _DEFAULTS.min_size,
) -> Candidates:
    """All text kernels of a map with their scores, in the order of their contours.

    Args:
        probability_map: (H, W) text probability, float in [0, 1] or uint8 (value / 255).
        thresh: Text is where the probability is greater.
        shape: ``"polygon"`` keeps contours of 4 points or more; ``"box"`` their minimum-area
            boxes, unless the shorter side is more than 2 pixels under ``min_size``.
        min_size: See ``PostprocessSettings``.

    Raises:
        ValueError: If the map is not (H, W) with values in [0, 1].
    """
    probability = as_probability(probability_map)
    text = (probability > np.float32(thresh)).astype(np.uint8)
    contours, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    kernels: list[Polygon] = []
    indices: list[int] = []
    for index, contour in enumerate(contours):
        if shape == "polygon":
            tolerance = _OUTLINE_TOLERANCE * cv2.arcLength(contour, True)
            kernel = cv2.approxPolyDP(contour, tolerance, True).reshape(-1, 2).astype(np.float64)
            is_kept = len(kernel) >= 4
        else:
            kernel = contour.reshape(-1, 2).astype(np.float64)
            is_kept = short_side(kernel) >= min_size - _KERNEL_ALLOWANCE
            kernel = minimum_area_box(kernel)
        if is_kept:
            kernels.append(kernel)
            indices.append(index)
    return Candidates(
        kernels=tuple(kernels),
        scores=np.array([_mean_inside(probability, kernel) for kernel in kernels], np.float64),
        contour_indices=np.array(indices, dtype=np.int64),
    )


def select_candidates(candidates: Candidates, settings: PostprocessSettings) -> NDArray[np.intp]:
    """Which candidates reach ``box_thresh`` and are among the first ``max_candidates``.

    The order ``"score"`` ranks by score; ``"contour"`` counts all contours of the map, also those
    that were no candidates, as the contest does.

    Returns:
        Indices of candidates in output order.
    """
    passes = candidates.scores >= settings.box_thresh
    if settings.candidate_order == "contour":
        return np.flatnonzero(passes & (candidates.contour_indices < settings.max_candidates))
    ranked = np.argsort(-candidates.scores, kind="stable")
    return ranked[passes[ranked]][: settings.max_candidates]


def regrow_candidate(kernel: Polygon, settings: PostprocessSettings) -> Polygon | None:
    """The whole word of a kernel, map pixels; None where it falls apart or is too small."""
    area = polygon_area(kernel)
    if area == 0.0:
        return None
    pieces = offset_polygon(kernel, area * settings.unclip_ratio / perimeter(kernel))
    if len(pieces) != 1 or short_side(pieces[0]) < settings.min_size:
        return None
    return pieces[0] if settings.shape == "polygon" else minimum_area_box(pieces[0])


def is_noise(
    probability_map: NDArray[np.float32] | NDArray[np.uint8], settings: PostprocessSettings
) -> bool:
    """Whether a map falls into so many pieces that no page of text looks like it.

    The maps of a network's first epochs do; decoding one takes seconds and finds nothing.

    Args:
        probability_map: (H, W) text probability, float in [0, 1] or uint8 (value / 255).
        settings: ``thresh`` and ``max_candidates``; noise has more than five pieces for each
            candidate that may be kept.
    """
    text = as_probability(probability_map) > np.float32(settings.thresh)
    pieces, _ = cv2.connectedComponents(text.astype(np.uint8))
    return pieces - 1 > _NOISE_FACTOR * settings.max_candidates


def place_on_page(word: Polygon, map_to_page: Matrix) -> Polygon:
    """A word moved from the map to the page and rounded to whole pixels.

    Raises:
        ValueError: If the matrix is not 3x3.
    """
    if np.shape(map_to_page) != (3, 3):
        raise ValueError(f"map_to_page must be 3x3, got shape {np.shape(map_to_page)}")
    rounded: Polygon = np.round(transform_polygon(word, map_to_page)) + 0.0  # no negative zero
    return rounded


def _mean_inside(probability: NDArray[np.float32], kernel: Polygon) -> float:
    """Mean of the map under the filled polygon."""
    height, width = probability.shape
    left, top = np.floor(kernel.min(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    right, bottom = np.ceil(kernel.max(axis=0)).astype(int).clip(0, (width - 1, height - 1))
    inside = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    cv2.fillPoly(inside, [(kernel - (left, top)).astype(np.int32)], [1])
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], inside)[0])
