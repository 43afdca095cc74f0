"""Words as CLEval sees them: how many characters they have and where those lie.

All coordinates are pixels of one common page frame, x then y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError

from receipt_ocr.evaluation.outlines import Outlines, collect_outlines
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.geometry import Polygon

__all__ = ["TruthWords", "false_positive_length", "prepare_truth"]

EPS32 = np.finfo(np.float32).eps
QUAD_EPS = 1e-5
MAX_LENGTH = {"polygon": 100, "quad": 10}
MAX_ASPECT = np.float32(100.0)
# The characters of a quad narrower than this lie one below the other.
TALL_ASPECT = 0.5

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TruthWords:
    """The true words of one page, prepared once for many scorings."""

    outlines: Outlines
    """Their ``regions`` are what counts as area: a don't-care word has lost the care words'."""
    is_care: NDArray[np.bool_]
    """(W,) False for the words that are neither asked for nor held against a detection."""
    lengths: NDArray[np.intp]
    """(W,) number of characters."""
    centres: NDArray[np.float64]
    """(K, 2) centre of every character of every word."""
    owners: NDArray[np.intp]
    """(K,) the word of each character."""
    settings: CLEvalSettings
    """The word model and rounding that the words were prepared with."""


def prepare_truth(
    truth: Sequence[ArrayLike],
    *,
    transcriptions: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    settings: CLEvalSettings | None = None,
) -> TruthWords:
    """Everything of the true words that does not depend on the detections.

    Args:
        truth: One (P, 2) polygon a word; those of fewer than 4 points are skipped.
        transcriptions: The text of each word; without (or None) its length is estimated from
            the shape. An empty text has no characters.
        ignored: True for don't-care words.
        settings: Word model and rounding; the contest's if None.

    Raises:
        ValueError: If the lengths differ or a polygon is not (P, 2) finite numbers.
    """
    settings = settings or CLEvalSettings()
    for name, values in (("transcriptions", transcriptions), ("ignored", ignored)):
        if values is not None and len(values) != len(truth):
            raise ValueError(f"{name} must be one a truth: {len(values)} for {len(truth)} words")
    outlines = collect_outlines(truth, "truth", settings)
    kept = outlines.indices.tolist()
    is_care = np.array([ignored is None or not ignored[i] for i in kept], dtype=bool)
    texts = [None if transcriptions is None else transcriptions[i] for i in kept]
    is_known = is_care & np.array([text is not None for text in texts], dtype=bool)
    lengths = _pseudo_lengths(outlines, ~is_known, settings)
    lengths[is_known] = [len(texts[word] or "") for word in np.flatnonzero(is_known)]
    owners = np.repeat(np.arange(len(kept)), lengths)
    place = _quad_centres if settings.word_model == "quad" else _polygon_centres
    _subtract_care(outlines, is_care)
    return TruthWords(
        outlines, is_care, lengths, place(outlines, lengths, owners), owners, settings
    )


def false_positive_length(polygon: Polygon, settings: CLEvalSettings) -> int:
    """How many characters a detection without a match is charged with."""
    if settings.word_model == "quad":
        inverse = 1 / (QUAD_EPS + _quad_aspect(polygon))
    else:
        inverse = 1 / (EPS32 + _rectangle_aspect(polygon))
    return min(round(0.5 + inverse), MAX_LENGTH[settings.word_model])


def _pseudo_lengths(
    outlines: Outlines, wanted: NDArray[np.bool_], settings: CLEvalSettings
) -> NDArray[np.intp]:
    """How many characters the wanted words have, judging by their shape; 0 for the others."""
    lengths = np.zeros(len(outlines), dtype=np.intp)
    if settings.word_model == "quad":
        for word in np.flatnonzero(wanted).tolist():
            aspect = _quad_aspect(outlines.polygon(word))
            lengths[word] = _length(aspect, MAX_LENGTH["quad"])
        return lengths
    lengths[wanted] = _undisputed_lengths(outlines)[wanted]
    for word in np.flatnonzero(wanted & (lengths == 0)).tolist():
        aspect = _rectangle_aspect(outlines.polygon(word))
        lengths[word] = _length(aspect, MAX_LENGTH["polygon"])
    return lengths


def _length(aspect: Floats | np.floating[Any], longest: int) -> Floats | np.floating[Any]:
    """Characters of a word of this aspect, whichever way round, in the aspect's precision."""
    inverse = 1 / (aspect + EPS32)
    return np.minimum(np.rint(0.5 + np.maximum(aspect, inverse)), longest)


def _quad_aspect(quad: Polygon) -> np.floating[Any]:
    """Mean of the top and bottom sides over the mean of the left and right ones."""
    top, right, bottom, left = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    return np.float64(((top + bottom) / 2 + QUAD_EPS) / ((left + right) / 2 + QUAD_EPS))


def _rectangle_aspect(polygon: Polygon) -> np.floating[Any]:
    """Extent across over extent along the first hull edge whose rectangle is smallest.

    Where two edges tie the value may be the inverse of what one expects. The contest's counts
    depend on that, so on the order in which SciPy returns the hull and on float32 throughout:
    with it ``eps`` vanishes and a word of exactly 3:1 has 4 characters, without it 3. Float32
    is also why moving a slanted word may resolve a tie differently.
    """
    points = polygon.astype(np.float32)
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # all points on one line
        return np.float32(0.0)
    areas, aspects = _rectangles(hull)
    return np.float32(aspects[areas.argmin()])


def _rectangles(hulls: Floats) -> tuple[Floats, Floats]:
    """Area and aspect of the rectangle along each edge of convex (..., E, 2) hulls, float32."""
    edges = np.roll(hulls, -1, axis=-2) - hulls
    units = edges / np.sqrt((edges**2).sum(axis=-1, keepdims=True))
    ux, uy = units[..., :1], units[..., 1:]
    x, y = hulls[..., None, :, 0], hulls[..., None, :, 1]
    along, across = np.ptp(ux * x + uy * y, axis=-1), np.ptp(ux * y - uy * x, axis=-1)
    return along * across, np.minimum(MAX_ASPECT, across / (along + EPS32))


def _undisputed_lengths(outlines: Outlines) -> NDArray[np.intp]:
    """Lengths of the words whose hull need not be searched, 0 for the others.

    A convex quad is its own hull, and the order of its edges matters only where smallest
    rectangles of equal area lead to different lengths. This spares a page most of its time.
    """
    lengths = np.zeros(len(outlines), dtype=np.intp)
    words = np.flatnonzero(np.diff(outlines.starts) == 4)
    quads = outlines.points[outlines.starts[words, None] + np.arange(4)]
    edges = np.roll(quads, -1, axis=1) - quads
    following = np.roll(edges, -1, axis=1)
    turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    # A whole square pixel: far from any corner that Qhull could take for straight.
    is_convex = (turns >= 1).all(axis=1) | (turns <= -1).all(axis=1)
    areas, aspects = _rectangles(quads[is_convex].astype(np.float32))
    is_smallest = areas == areas.min(axis=1, keepdims=True)
    choices = _length(aspects, MAX_LENGTH["polygon"])
    longest = np.max(choices, axis=1, where=is_smallest, initial=0)
    is_undisputed = longest == np.min(choices, axis=1, where=is_smallest, initial=np.inf)
    lengths[words[is_convex]] = np.where(is_undisputed, longest, 0)
    return lengths


def _polygon_centres(
    outlines: Outlines, lengths: NDArray[np.intp], owners: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Centres of all characters, (K, 2): halfway between the upper and the lower side.

    The first half of a polygon's points is its upper side, the rest, reversed, the lower one.
    Each section of a side is cut in as many steps as the word has characters, so that a
    character spans as many steps as the side has sections.
    """
    sizes = np.diff(outlines.starts)[owners]
    first, steps = outlines.starts[owners], lengths[owners]
    ordinals = np.arange(len(owners)) - (np.cumsum(lengths) - lengths)[owners]
    sections = sizes // 2 - 1
    corners = np.zeros((len(owners), 2))
    for offset in (0, 1):
        section, step = np.divmod((ordinals + offset) * sections, steps)
        is_last = section == sections
        upper = first + section
        # An odd polygon's lower side has a section more, which is jumped at its end.
        lower = first + np.where(is_last, sizes // 2, sizes - 1 - section)
        corners += _cut(outlines.points, upper, np.where(is_last, upper, upper + 1), step, steps)
        corners += _cut(outlines.points, lower, np.where(is_last, lower, lower - 1), step, steps)
    return corners / 4


def _cut(
    points: Polygon,
    start: NDArray[np.intp],
    end: NDArray[np.intp],
    step: NDArray[np.intp],
    steps: NDArray[np.intp],
) -> Polygon:
    """Points ``step / steps`` of the way, truncated; the starts themselves as they are."""
    way = (points[end] - points[start]) / steps[:, None]
    cut = np.trunc(points[start] + way * step[:, None])
    return np.where((step == 0)[:, None], points[start], cut)


def _quad_centres(
    outlines: Outlines, lengths: NDArray[np.intp], owners: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Evenly spaced on the line from the middle of the left side to that of the right one."""
    centres = [np.empty((0, 2))]
    for word in np.flatnonzero(lengths).tolist():
        quad = outlines.polygon(word)
        if _quad_aspect(quad) < TALL_ASPECT:
            quad = np.roll(quad, 1, axis=0)
        top_left, top_right, bottom_right, bottom_left = quad
        left, right = (top_left + bottom_left) / 2, (top_right + bottom_right) / 2
        step = (right - left) / lengths[word]
        centres.append(left + step / 2 + step * np.arange(lengths[word])[:, None])
    return np.concatenate(centres)


def _subtract_care(outlines: Outlines, is_care: NDArray[np.bool_]) -> None:
    """Take the area of the care words from the don't-care ones (regions just built: ours)."""
    care = outlines.regions[is_care]
    for word in np.flatnonzero(~is_care):
        near = care[shapely.intersects(care, outlines.regions[word])]
        rest = shapely.difference(outlines.regions[word], shapely.union_all(near))
        outlines.regions[word] = rest
