"""Which detections belong to which words: the match relation of CLEval."""

import numpy as np
import shapely
from numpy.typing import NDArray

from receipt_ocr.evaluation.outlines import Outlines
from receipt_ocr.evaluation.words import TruthWords

__all__ = ["area_precision", "care_detections", "characters_inside", "match_words"]

# The share of a detection that must lie on the truth for the two to be close.
CLOSE = 0.3


def characters_inside(
    centres: NDArray[np.float64], found: Outlines
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs (character, detection) of which the one lies in the other.

    Even-odd crossing test on truncated points: left and upper edges belong to a detection,
    right and lower ones do not.
    """
    x, y = centres[:, :1], centres[:, 1:]
    left, top, right, bottom = found.boxes.T
    near = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    characters, holders = np.nonzero(near)
    if not len(characters):
        return characters, holders
    sizes = np.diff(found.starts)[holders]
    ends = np.cumsum(sizes)
    # For each pair, the positions of all edges of its detection, one pair after the other.
    edges = np.arange(ends[-1]) + np.repeat(found.starts[holders] - (ends - sizes), sizes)
    following = np.arange(1, len(found.points) + 1)
    following[found.starts[1:] - 1] = found.starts[:-1]
    points = np.trunc(found.points)
    x1, y1 = points[edges].T
    x2, y2 = points[following[edges]].T
    px, py = np.repeat(centres[characters], sizes, axis=0).T
    is_crossed = (y1 > py) != (y2 > py)
    at = np.flatnonzero(is_crossed)  # never level, so the division below is safe
    x1, y1, x2, y2 = x1[at], y1[at], x2[at], y2[at]
    is_crossed[at] = px[at] < (x2 - x1) * (py[at] - y1) / (y2 - y1) + x1
    is_inside = np.logical_xor.reduceat(is_crossed, ends - sizes)
    return characters[is_inside], holders[is_inside]


def area_precision(
    words: TruthWords, found: Outlines, inside: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The share of each detection that lies on each truth, (truths, detections).

    Filled only where the matching asks for it: at pairs that share a character, and for
    don't-care truths wherever the bounding boxes meet.
    """
    boxes = words.outlines.boxes[:, None, :]
    is_near = (boxes[..., :2] <= found.boxes[:, 2:]).all(axis=-1)
    is_near &= (boxes[..., 2:] >= found.boxes[:, :2]).all(axis=-1)
    rows, columns = np.nonzero((inside > 0) | (is_near & ~words.is_care[:, None]))
    shared = shapely.area(
        shapely.intersection(words.outlines.regions[rows], found.regions[columns])
    )
    areas = shapely.area(found.regions)[columns]
    precision = np.zeros(inside.shape, dtype=np.float32)
    precision[rows, columns] = np.divide(shared, areas, out=np.zeros_like(areas), where=areas > 0)
    return precision


def care_detections(
    words: TruthWords, inside: NDArray[np.intp], precision: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which detections count: those that don't-care words do not excuse, (detections,)."""
    ignored = precision[~words.is_care]
    is_close = (ignored >= np.float32(CLOSE)).any(axis=0)
    covered = np.where(inside[~words.is_care] > 0, ignored, 0).sum(axis=0, dtype=np.float64)
    care: NDArray[np.bool_] = ~(is_close | (covered >= CLOSE))
    return care


def match_words(
    care_truths: NDArray[np.bool_],
    care_detections: NDArray[np.bool_],
    inside: NDArray[np.intp],
    precision: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """The match relation, (truths, detections), between care truths and care detections."""
    both_care = care_truths[:, None] & care_detections
    touches = (inside > 0) & both_care
    candidates = (inside > 0) & (precision >= np.float32(CLOSE))
    # Don't-care partners count here: a word that also has one is not one-to-one.
    alone_in_row = candidates.sum(axis=1, keepdims=True) == 1
    alone_in_column = candidates.sum(axis=0) == 1
    candidates_of_care = candidates & both_care
    is_split = candidates_of_care.sum(axis=1, keepdims=True) >= 2
    # In float64, as the reference does, although the shares themselves are float32.
    covered = np.where(touches, precision, 0).sum(axis=0, dtype=np.float64)
    is_merged = (touches.sum(axis=0) >= 2) & (covered >= CLOSE)
    one_to_one = candidates_of_care & alone_in_row & alone_in_column
    match: NDArray[np.bool_] = one_to_one | (candidates_of_care & is_split) | (touches & is_merged)
    return match
