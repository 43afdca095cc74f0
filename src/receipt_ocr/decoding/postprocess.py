"""From a probability map to polygons on the page, step by step.

``find_candidates`` is the slow part and depends on ``thresh`` and ``shape`` alone;
``select_candidates``, ``unclip_candidates`` and ``finish_words`` apply the other settings to what
it found, so that a search need not read the map again. ``extract_polygons`` chains them.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.candidates import Candidates, find_candidates, select_candidates
from receipt_ocr.decoding.maps import MapValues
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.batch import PolygonBatch
from receipt_ocr.geometry.polygons import (
    Matrix,
    Path,
    Polygon,
    minimum_area_box,
    offset_path,
    short_side,
    transform_polygon,
)

__all__ = [
    "Detections",
    "PostprocessSettings",
    "are_narrow",
    "extract_polygons",
    "finish_words",
    "place_on_page",
    "unclip_candidates",
]

logger = logging.getLogger(__name__)

_DEFAULTS = PostprocessSettings()

_SHORTEST = 1e-9  # no outline with an area is as short


@dataclass(frozen=True)
class Detections:
    """The words found on a page."""

    polygons: tuple[Polygon, ...]
    """Each (P, 2), whole page pixels; a vertex may lie a pixel outside the page."""
    scores: NDArray[np.float64]
    """(N,) mean probability inside each word's kernel."""


def extract_polygons(
    probability_map: MapValues,
    map_to_page: Matrix,
    settings: PostprocessSettings = _DEFAULTS,
) -> Detections:
    """Extract the words of a page as polygons, in the order of ``settings.candidate_order``.

    With the order ``"contour"`` these are the contest's steps to the integer. An offset that
    falls apart into several polygons, or has a hole, drops its candidate, as there.

    Args:
        probability_map: (H, W) text probability, float in [0, 1] or uint8 (value / 255).
        map_to_page: 3x3 matrix from map pixels to page pixels.
        settings: Thresholds, unclip ratio and the number of candidates.

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
    words, origins = unclip_candidates(candidates, selected, settings.unclip_ratio)
    words, origins = finish_words(words, origins, settings)
    return Detections(
        polygons=tuple(place_on_page(words, map_to_page)), scores=candidates.scores[origins]
    )


def unclip_candidates(
    candidates: Candidates, chosen: NDArray[np.intp], unclip_ratio: float
) -> tuple[PolygonBatch, NDArray[np.intp]]:
    """Unclip kernels into word polygons, in map pixels.

    Each kernel grows outwards by ``area * unclip_ratio / perimeter`` pixels (Vatti clipping, as in
    Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020).

    Returns:
        Up to M words in the order of the (M,) chosen candidates, and the index of each word's
        candidate: a kernel without an area, or whose offset falls apart or has a hole, makes no
        word.
    """
    areas, perimeters, _ = candidates.measures
    distances = areas * unclip_ratio / np.maximum(perimeters, _SHORTEST)
    origins: list[int] = []
    paths: list[Path] = []
    for index in chosen[areas[chosen] > 0.0].tolist():
        pieces = offset_path(candidates.paths[index], float(distances[index]))
        if len(pieces) == 1:
            origins.append(index)
            paths.append(pieces[0])
    return PolygonBatch.join_paths(paths), np.array(origins, dtype=np.intp)


def finish_words(
    words: PolygonBatch, origins: NDArray[np.intp], settings: PostprocessSettings
) -> tuple[PolygonBatch, NDArray[np.intp]]:
    """Drop words under ``min_size`` and give the others the ``shape`` that is asked for.

    ``origins`` are the words' candidates; the same is returned of the words that are left.
    """
    is_word = ~are_narrow(words, settings.min_size)
    if not is_word.all():
        words, origins = words.take(np.flatnonzero(is_word)), origins[is_word]
    if settings.shape == "box":
        words = PolygonBatch.join([minimum_area_box(word) for word in words])
    return words, origins


def are_narrow(words: PolygonBatch, min_size: float) -> NDArray[np.bool_]:
    """(N,) whether the minimum-area box of each word has a side under ``min_size``."""
    areas, _, boxes = words.measure()
    diagonals = np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    # A box holds the word's area and is no longer than the word, so that most are wide for sure.
    is_unsure = areas < (min_size + 1.0) * diagonals
    is_narrow = np.zeros(len(words), dtype=np.bool_)
    for index in np.flatnonzero(is_unsure).tolist():
        is_narrow[index] = short_side(words[index]) < min_size
    return is_narrow


def place_on_page(words: PolygonBatch, map_to_page: Matrix) -> PolygonBatch:
    """Move words from the map to the page, rounded to whole pixels.

    Raises:
        ValueError: If the matrix is not 3x3.
    """
    if np.shape(map_to_page) != (3, 3):
        raise ValueError(f"map_to_page must be 3x3, got shape {np.shape(map_to_page)}")
    moved = np.round(transform_polygon(words.points, map_to_page)) + 0.0  # no negative zero
    return PolygonBatch(moved, words.starts)
