"""From a probability map to polygons in the way of the common code: contour after contour.

A yardstick for the package's own post-processing, which it shares no code with. The steps are
those of the contest: Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", 2020, section 3.5.
"""

from typing import Any, Literal

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
Contour = NDArray[Any]

# A kernel may be this much narrower than the regrown word, in map pixels.
KERNEL_ALLOWANCE = 2


def extract_polygons(  # noqa: PLR0913 - the settings of the contest
    probability_map: NDArray[np.float32],
    map_to_page: NDArray[np.float64],
    *,
    thresh: float,
    box_thresh: float,
    unclip_ratio: float,
    max_candidates: int,
    min_size: float = 5,
    shape: Literal["polygon", "box"] = "polygon",
) -> tuple[list[Polygon], list[float]]:
    """Find the words of a page, in the order of their contours.

    Args:
        probability_map: (H, W) text probability in [0, 1].
        map_to_page: 3x3 matrix from map pixels to page pixels.
        thresh: Text is where the probability is greater.
        box_thresh: Candidates whose mean probability is lower are dropped.
        unclip_ratio: Kernels are regrown by ``area * unclip_ratio / perimeter`` pixels.
        max_candidates: Only the first contours are looked at.
        min_size: Drops words whose minimum-area box has a shorter side under this (map pixels).
        shape: ``"polygon"``, or ``"box"`` for minimum-area boxes.

    Returns:
        Polygons (P, 2) in whole page pixels and the score of each.
    """
    text = (probability_map > np.float32(thresh)).astype(np.uint8)
    contours, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    polygons: list[Polygon] = []
    scores: list[float] = []
    for contour in contours[:max_candidates]:
        kernel = _outline(contour) if shape == "polygon" else _box(contour, min_size)
        if kernel is None:
            continue
        score = _score(probability_map, kernel)
        if score < box_thresh:
            continue
        word = _regrow(kernel, unclip_ratio)
        if word is None:
            continue
        box, short_side = _minimum_box(word)
        if short_side < min_size:
            continue
        polygons.append(_place(word if shape == "polygon" else box, map_to_page))
        scores.append(score)
    return polygons, scores


def _outline(contour: Contour) -> Polygon | None:
    """The contour with fewer points; None if it has no 4."""
    tolerance = 0.002 * cv2.arcLength(contour, True)
    outline = cv2.approxPolyDP(contour, tolerance, True).reshape(-1, 2)
    return outline.astype(np.float64) if len(outline) >= 4 else None


def _box(contour: Contour, min_size: float) -> Polygon | None:
    """The contour's minimum-area box; None if it is too narrow to regrow."""
    box, short_side = _minimum_box(contour.reshape(-1, 2))
    return box if short_side >= min_size - KERNEL_ALLOWANCE else None


def _minimum_box(points: Polygon | Contour) -> tuple[Polygon, float]:
    """The minimum-area rectangle, clockwise from the top left, and its shorter side."""
    rectangle = cv2.minAreaRect(points.astype(np.float32))
    by_x = sorted(cv2.boxPoints(rectangle).tolist(), key=lambda corner: corner[0])
    top_left, bottom_left = sorted(by_x[:2], key=lambda corner: corner[1])
    top_right, bottom_right = sorted(by_x[2:], key=lambda corner: corner[1])
    box = np.array([top_left, top_right, bottom_right, bottom_left])
    return box, min(rectangle[1])


def _score(probability_map: NDArray[np.float32], kernel: Polygon) -> float:
    """Mean of the map under the filled kernel, inside its bounding box."""
    height, width = probability_map.shape
    low, high = np.floor(kernel.min(axis=0)), np.ceil(kernel.max(axis=0))
    left, top = np.clip(low, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(high, 0, (width - 1, height - 1)).astype(int)
    mask = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    cv2.fillPoly(mask, [(kernel - (left, top)).astype(np.int32)], [1])
    window = probability_map[top : bottom + 1, left : right + 1]
    return float(cv2.mean(window, mask)[0])


def _regrow(kernel: Polygon, unclip_ratio: float) -> Polygon | None:
    """The whole word of a kernel; None without an area, or if it falls apart."""
    polygon = shapely.Polygon(kernel)
    if polygon.area == 0:
        return None
    offset = pyclipper.PyclipperOffset()
    path = kernel.astype(np.int64).tolist()
    offset.AddPath(path, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    pieces = offset.Execute(polygon.area * unclip_ratio / polygon.length)
    return np.array(pieces[0], dtype=np.float64) if len(pieces) == 1 else None


def _place(word: Polygon, map_to_page: NDArray[np.float64]) -> Polygon:
    """Bring a word to whole pixels of the page."""
    moved = np.column_stack([word, np.ones(len(word))]) @ map_to_page.T
    placed: Polygon = np.round(moved[:, :2] / moved[:, 2:])
    return placed
