"""Words as CLEval sees them: their number of characters, and where those lie.

All coordinates are pixels of one common page frame, x then y.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.evaluation.outlines import Outlines, collect_outlines
from receipt_ocr.evaluation.rectangles import MAX_LENGTH, guess_lengths, rectangle_aspect
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.geometry.polygons import Polygon

EPS32 = np.finfo(np.float32).eps
QUAD_EPS = 1e-5
MAX_QUAD_LENGTH = 10
TALL_ASPECT = 0.5  # characters of a narrower quad lie one below the other

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class TruthWords:
    """The W true words of one page and their K characters, prepared once for many scorings."""

    outlines: Outlines
    """Polygons of the words, in the order given."""
    is_care: Flags
    """(W,) False for don't-care words: neither missed nor held against a detection."""
    lengths: Indices
    """(W,) number of characters."""
    centres: NDArray[np.float64]
    """(K, 2) centre of every character of every word."""
    owners: Indices
    """(K,) the word of each character."""
    downwards: Indices
    """(K,) the characters from the top of the page to the bottom."""
    remains: Mapping[int, Any]
    """Don't-care word that care words lie on -> the shapely region left of it."""
    settings: CLEvalSettings
    """The word model and rounding that the words were prepared with."""


def prepare_truth(
    truth: Sequence[ArrayLike],
    *,
    transcriptions: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    settings: CLEvalSettings | None = None,
) -> TruthWords:
    """Prepare all that does not depend on the detections.

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
    centres = place(outlines, lengths, owners)
    return TruthWords(
        outlines=outlines,
        is_care=is_care,
        lengths=lengths,
        centres=centres,
        owners=owners,
        downwards=np.argsort(centres[:, 1], kind="stable"),
        remains=_subtract_care(outlines, is_care),
        settings=settings,
    )


def false_positive_lengths(
    outlines: Outlines, wanted: Indices, settings: CLEvalSettings
) -> list[int]:
    """Number of characters that each wanted detection is charged with as a false positive."""
    if settings.word_model == "quad":
        aspects = (_quad_aspect(outlines.given[word]) for word in wanted.tolist())
        return [min(round(0.5 + 1 / (QUAD_EPS + aspect)), MAX_QUAD_LENGTH) for aspect in aspects]
    lengths: list[int] = guess_lengths(outlines.given.take(wanted))[:, 1].tolist()
    for position, word in enumerate(wanted.tolist()):
        if not lengths[position]:
            inverse = 1 / (EPS32 + rectangle_aspect(outlines.given[word]))
            lengths[position] = min(round(0.5 + inverse), MAX_LENGTH)
    return lengths


def _pseudo_lengths(outlines: Outlines, wanted: Flags, settings: CLEvalSettings) -> Indices:
    """(W,) number of characters of the wanted words by their shape; 0 for the others."""
    lengths = np.zeros(len(outlines), dtype=np.intp)
    if settings.word_model == "quad":
        for word in np.flatnonzero(wanted).tolist():
            lengths[word] = _length(_quad_aspect(outlines.given[word]), MAX_QUAD_LENGTH)
        return lengths
    lengths[wanted] = guess_lengths(outlines.given)[wanted, 0]
    for word in np.flatnonzero(wanted & (lengths == 0)).tolist():
        lengths[word] = _length(rectangle_aspect(outlines.given[word]), MAX_LENGTH)
    return lengths


def _length(aspect: np.floating[Any], longest: int) -> int:
    """Number of characters at this aspect, whichever way round, in the aspect's precision."""
    inverse = 1 / (aspect + EPS32)
    return int(min(np.rint(0.5 + max(aspect, inverse)), longest))


def _quad_aspect(quad: Polygon) -> np.floating[Any]:
    """Mean of the top and bottom sides over the mean of the left and right ones."""
    top, right, bottom, left = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    return np.float64(((top + bottom) / 2 + QUAD_EPS) / ((left + right) / 2 + QUAD_EPS))


def _polygon_centres(outlines: Outlines, lengths: Indices, owners: Indices) -> Polygon:
    """(K, 2) centres of all characters, halfway between the upper and the lower side.

    The first half of a polygon's points is its upper side, the rest, reversed, the lower one.
    Each section of a side is cut in as many steps as the word has characters, so that a
    character spans as many steps as the side has sections.
    """
    points, starts = outlines.given.points, outlines.given.starts
    sizes = outlines.given.sizes[owners]
    first, steps = starts[owners], lengths[owners]
    ordinals = np.arange(len(owners)) - (np.cumsum(lengths) - lengths)[owners]
    sections = sizes // 2 - 1
    corners = np.zeros((len(owners), 2))
    for offset in (0, 1):
        section, step = np.divmod((ordinals + offset) * sections, steps)
        is_last = section == sections
        upper = first + section
        # An odd polygon's lower side has a section more, which is jumped at its end.
        lower = first + np.where(is_last, sizes // 2, sizes - 1 - section)
        corners += _cut(points, upper, np.where(is_last, upper, upper + 1), step, steps)
        corners += _cut(points, lower, np.where(is_last, lower, lower - 1), step, steps)
    return corners / 4


def _cut(points: Polygon, start: Indices, end: Indices, step: Indices, steps: Indices) -> Polygon:
    """Points ``step / steps`` of the way, truncated; the starts themselves as they are."""
    way = (points[end] - points[start]) / steps[:, None]
    cut = np.trunc(points[start] + way * step[:, None])
    return np.where((step == 0)[:, None], points[start], cut)


def _quad_centres(outlines: Outlines, lengths: Indices, owners: Indices) -> Polygon:
    """(K, 2) centres, evenly spaced on the line between the middles of left and right side."""
    centres = [np.empty((0, 2))]
    for word in np.flatnonzero(lengths).tolist():
        quad = outlines.given[word]
        if _quad_aspect(quad) < TALL_ASPECT:
            quad = np.roll(quad, 1, axis=0)
        top_left, top_right, bottom_right, bottom_left = quad
        left, right = (top_left + bottom_left) / 2, (top_right + bottom_right) / 2
        step = (right - left) / lengths[word]
        centres.append(left + step / 2 + step * np.arange(lengths[word])[:, None])
    return np.concatenate(centres)


def _subtract_care(outlines: Outlines, is_care: Flags) -> dict[int, Any]:
    """Region left of each don't-care word that care words lie on."""
    remains: dict[int, Any] = {}
    if is_care.all():
        return remains
    cares = outlines.regions(np.flatnonzero(is_care))
    ignored = np.flatnonzero(~is_care)
    tree = shapely.STRtree(cares)
    for word, region in zip(ignored.tolist(), outlines.regions(ignored), strict=True):
        near = np.sort(tree.query(region, predicate="intersects"))
        if len(near):
            remains[word] = shapely.difference(region, shapely.union_all(cares[near]))
    return remains
