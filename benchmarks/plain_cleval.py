"""CLEval written down as the paper states it: loops over words, detections and characters.

A yardstick for the package's own scoring, which it shares no code with. Nothing is pruned or
computed for many words at once; every polygon is prepared once a page. Baek et al., "CLEval:
Character-Level Evaluation for Text Detection and Recognition Tasks", 2020, with the rounding of
the contest's code. All coordinates are pixels of one common page frame, x then y.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError

EPS32 = np.finfo(np.float32).eps
QUAD_EPS = 1e-5
CLOSE = 0.3
CLOSE32 = np.float32(CLOSE)  # single shares are compared in float32, their sums in float64
TALL_ASPECT = 0.5
MAX_LENGTH = {"polygon": 100, "quad": 10}

Polygon = NDArray[np.float64]
Shares = NDArray[np.float32]  # shares of detection j that lie on truth i
WordModel = Literal["polygon", "quad"]
Point = tuple[float, float]
Relation = list[list[bool]]  # truth i, detection j
Held = list[list[list[int]]]  # the characters of truth i that lie in detection j


@dataclass
class _Truth:
    """A true word: its area, whether it counts, and the centres of its characters."""

    region: Any
    care: bool
    centres: list[Point]


@dataclass
class _Detection:
    """A detected word: its outline and its area."""

    points: list[Point]
    region: Any
    area: float


def score_page(  # noqa: PLR0913 - the options of the two variants
    truth: Sequence[ArrayLike],
    detections: Sequence[ArrayLike],
    *,
    transcriptions: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    word_model: WordModel = "polygon",
    max_detections: int = 500,
) -> dict[str, int]:
    """Count the characters of one page.

    Args:
        truth: (P, 2) polygons of the true words; those of fewer than 4 points are skipped.
        detections: (P, 2) polygons in the same frame, skipped likewise.
        transcriptions: The text of each true word; without, its length is estimated.
        ignored: True for don't-care words.
        word_model: ``"polygon"`` as in the contest, ``"quad"`` as in the reference code.
        max_detections: Detections beyond this one are dropped.

    Returns:
        ``characters_truth``, ``characters_detected``, ``characters_matched``,
        ``false_positives``, ``recall_penalty`` and ``precision_penalty``.

    Raises:
        ValueError: If the word model is unknown or does not fit a polygon, or ``transcriptions``
            or ``ignored`` are not one a truth.
    """
    if word_model not in MAX_LENGTH:
        raise ValueError(f"word_model must be one of {sorted(MAX_LENGTH)}, got {word_model!r}")
    texts = transcriptions if transcriptions is not None else [None] * len(truth)
    flags = ignored if ignored is not None else [False] * len(truth)
    truths = [
        _read_truth(polygon, text, not flag, word_model)
        for polygon, text, flag in zip(_round(truth), texts, flags, strict=True)
        if len(polygon) >= 4
    ]
    _subtract_care_words(truths)
    found = [_read_detection(p) for p in _round(detections[:max_detections]) if len(p) >= 4]
    precision, inside = _compare(truths, found)
    care = [_is_care(j, truths, precision, inside) for j in range(len(found))]
    match = _match(truths, care, precision, inside)
    false = [j for j in range(len(found)) if care[j] and not any(row[j] for row in match)]
    charged = sum(_charge(found[j].points, word_model) for j in false)
    return _count(truths, match, inside, charged)


def hmean(counts: Mapping[str, int]) -> float:
    """Harmonic mean of a page's recall and precision, from the counts of `score_page`."""
    matched = counts["characters_matched"]
    true, detected = counts["characters_truth"], counts["characters_detected"]
    recall = max(0, matched - counts["recall_penalty"]) / true if true else 0.0
    precision = max(0, matched - counts["precision_penalty"]) / detected if detected else 0.0
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _round(polygons: Sequence[ArrayLike]) -> list[Polygon]:
    return [np.array(polygon, dtype=np.float64).round() for polygon in polygons]


def _region(polygon: Polygon) -> Any:
    """A valid shapely geometry; an outline that crosses itself encloses its even-odd area."""
    region = shapely.Polygon(polygon)
    return region if region.is_valid else shapely.make_valid(region).buffer(0)


def _read_truth(polygon: Polygon, text: str | None, care: bool, word_model: WordModel) -> _Truth:
    if care and text is not None:
        length = len(text)
    else:
        aspect = _aspect(polygon, word_model)
        estimate = round(0.5 + max(aspect, 1 / (aspect + EPS32)))
        length = min(estimate, MAX_LENGTH[word_model])
    place = _quad_centres if word_model == "quad" else _polygon_centres
    return _Truth(_region(polygon), care, place(polygon, length) if length else [])


def _read_detection(polygon: Polygon) -> _Detection:
    region = _region(polygon)
    return _Detection([(x, y) for x, y in polygon.tolist()], region, region.area)


def _subtract_care_words(truths: list[_Truth]) -> None:
    """A don't-care word loses the area that care words cover."""
    for truth in truths:
        if not truth.care:
            for other in truths:
                if other.care:
                    truth.region = truth.region.difference(other.region)


def _aspect(polygon: Polygon, word_model: WordModel) -> Any:
    """Length of a word over its height, as the variant measures it."""
    return _quad_aspect(polygon) if word_model == "quad" else _rectangle_aspect(polygon)


def _quad_aspect(quad: Polygon) -> Any:
    """Mean of the top and bottom sides over the mean of the left and right ones."""
    if len(quad) != 4:
        raise ValueError(f"word_model 'quad' needs words of 4 points, got {len(quad)}")
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = quad.tolist()
    across = (math.hypot(x2 - x1, y2 - y1) + math.hypot(x4 - x3, y4 - y3)) / 2
    down = (math.hypot(x3 - x2, y3 - y2) + math.hypot(x1 - x4, y1 - y4)) / 2
    return (across + QUAD_EPS) / (down + QUAD_EPS)


def _rectangle_aspect(polygon: Polygon) -> Any:
    """Extent across over extent along the first hull edge whose rectangle is smallest.

    The order of SciPy's hull and float32 decide ties, as in the contest.
    """
    points = polygon.astype(np.float32)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # all points on one line
        return np.float32(0.0)
    x, y = hull[:, 0], hull[:, 1]
    smallest, aspect = np.float32(np.inf), np.float32(0.0)
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        edge = end - start
        ux, uy = edge / np.sqrt((edge**2).sum())
        along, across = np.ptp(ux * x + uy * y), np.ptp(ux * y - uy * x)
        if along * across < smallest:
            smallest = along * across
            aspect = min(np.float32(100.0), across / (along + EPS32))
    return aspect


def _polygon_centres(polygon: Polygon, length: int) -> list[Point]:
    """Halfway between the upper side (the first half of the points) and the lower one."""
    points = polygon.tolist()
    sections = len(points) // 2 - 1
    upper = _cut_side(points[: len(points) // 2], sections, length)
    lower = _cut_side(points[len(points) // 2 :][::-1], sections, length)
    step = (len(upper) - 1) / length
    centres = []
    for character in range(length):
        first, last = int(character * step), int((character + 1) * step)
        corners = [upper[first], lower[first], upper[last], lower[last]]
        centres.append((sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4))
    return centres


def _cut_side(side: list[list[float]], sections: int, steps: int) -> list[list[float]]:
    """The side with each of its first sections cut in equal steps, cuts truncated."""
    cut = []
    for (x1, y1), (x2, y2) in pairwise(side[: sections + 1]):
        dx, dy = (x2 - x1) / steps, (y2 - y1) / steps
        cut.append([x1, y1])
        for step in range(1, steps):
            cut.append([float(int(x1 + dx * step)), float(int(y1 + dy * step))])
    cut.append(side[-1])
    return cut


def _quad_centres(quad: Polygon, length: int) -> list[Point]:
    """Evenly spaced between the middles of the left and right sides; a tall word reads down."""
    corners = np.roll(quad, 1, axis=0) if _quad_aspect(quad) < TALL_ASPECT else quad
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners.tolist()
    left, top = (x1 + x4) / 2, (y1 + y4) / 2
    dx, dy = ((x2 + x3) / 2 - left) / length, ((y2 + y3) / 2 - top) / length
    return [(left + dx / 2 + dx * k, top + dy / 2 + dy * k) for k in range(length)]


def _is_inside(x: float, y: float, points: list[Point]) -> bool:
    """Even-odd crossing test; left and upper edges belong to the polygon."""
    inside = False
    x1, y1 = points[-1]
    for x2, y2 in points:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def _compare(truths: list[_Truth], found: list[_Detection]) -> tuple[Shares, Held]:
    """Area precision of every pair, and which characters of the truth the detection holds."""
    precision = np.zeros((len(truths), len(found)), dtype=np.float32)
    inside: Held = []
    for i, truth in enumerate(truths):
        inside.append([])
        for j, detection in enumerate(found):
            shared = truth.region.intersection(detection.region).area
            precision[i, j] = shared / detection.area if detection.area > 0 else 0.0
            points = detection.points
            held = [k for k, (x, y) in enumerate(truth.centres) if _is_inside(x, y, points)]
            inside[i].append(held)
    return precision, inside


def _is_care(j: int, truths: list[_Truth], precision: Shares, inside: Held) -> bool:
    """Whether a detection counts: it lies on no don't-care word, nor on several together."""
    covered = 0.0
    for i, truth in enumerate(truths):
        if not truth.care:
            if precision[i, j] >= CLOSE32:
                return False
            if inside[i][j]:
                covered += float(precision[i, j])
    return covered < CLOSE


def _match(truths: list[_Truth], care: list[bool], precision: Shares, inside: Held) -> Relation:
    """The union of the one-to-one, one-to-many and many-to-one matches."""
    rows, columns = range(len(truths)), range(len(care))
    candidate = [[bool(inside[i][j] and precision[i, j] >= CLOSE32) for j in columns] for i in rows]
    in_row = [sum(candidate[i]) for i in rows]
    in_column = [sum(candidate[i][j] for i in rows) for j in columns]
    match = [[False] * len(care) for _ in rows]
    for i in (i for i in rows if truths[i].care):
        partners = [j for j in columns if care[j] and candidate[i][j]]
        for j in partners:
            match[i][j] = len(partners) >= 2 or (in_row[i] == 1 and in_column[j] == 1)
    for j in (j for j in columns if care[j]):
        touching = [i for i in rows if truths[i].care and inside[i][j]]
        if len(touching) >= 2 and sum(float(precision[i, j]) for i in touching) >= CLOSE:
            for i in touching:
                match[i][j] = True
    return match


def _count(truths: list[_Truth], match: Relation, inside: Held, charged: int) -> dict[str, int]:
    """The counts of the match relation; ``charged`` characters are false positives."""
    taken: set[tuple[int, int]] = set()
    detected = joins = 0
    for column in range(len(match[0]) if match else 0):
        partners = [i for i in range(len(truths)) if match[i][column]]
        joins += max(0, len(partners) - 1)
        for i in partners:
            detected += len(inside[i][column])
            taken.update((i, character) for character in inside[i][column])
    return {
        "characters_truth": sum(len(truth.centres) for truth in truths if truth.care),
        "characters_detected": detected + charged,
        "characters_matched": len(taken),
        "false_positives": charged,
        "recall_penalty": sum(max(0, sum(row) - 1) for row in match),
        "precision_penalty": joins,
    }


def _charge(points: list[Point], word_model: WordModel) -> int:
    """Count the characters that a detection without a match is charged with."""
    aspect = _aspect(np.array(points), word_model)
    inverse = 1 / ((QUAD_EPS if word_model == "quad" else EPS32) + aspect)
    return int(min(round(0.5 + inverse), MAX_LENGTH[word_model]))
