"""Pairs of true words and detections that meet, with all that matching asks about them.

Only what can touch is compared: characters are found by their height on the page, and areas are
measured only where a detection holds a character of the word. An overlap is measured once and
then serves any choice among the detections.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.evaluation.areas import measure_shared_areas
from receipt_ocr.evaluation.outlines import Outlines, collect_outlines
from receipt_ocr.evaluation.words import TruthWords, false_positive_lengths
from receipt_ocr.geometry.batch import PolygonBatch
from receipt_ocr.geometry.compiled import compiled
from receipt_ocr.geometry.polygons import Polygon

CLOSE = 0.3
"""The share of a detection that must lie on the truth for the two to be close."""

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Overlap:
    """A page's true words, its D detections, and the R pairs of them that meet."""

    words: TruthWords
    found: Outlines
    truths: Indices
    """(R,) the true word of each pair; the pairs are sorted by detection, then by word."""
    detections: Indices
    """(R,) the detection of each pair."""
    inside: Indices
    """(R,) characters of the word whose centre lies in the detection."""
    shares: NDArray[np.float32]
    """(R,) share of the detection's area that lies on the word."""
    characters: Indices
    """(H,) a character that lies in a detection."""
    character_pairs: Indices
    """(H,) the pair of its word and this detection."""
    is_care: Flags
    """(D,) False for the detections that don't-care words excuse."""
    charges: Indices
    """(D,) characters of each detection as a false positive; 0 until someone has asked."""

    def false_positive_characters(self, detections: Indices) -> int:
        """Number of characters that these detections are charged with as false positives."""
        unknown = detections[self.charges[detections] == 0]
        if len(unknown):
            charges = false_positive_lengths(self.found, unknown, self.words.settings)
            self.charges[unknown] = charges
        return int(self.charges[detections].sum())


def measure_overlap(words: TruthWords, detections: Sequence[ArrayLike] | PolygonBatch) -> Overlap:
    """Measure everything about detections and true words that needs their shapes.

    Args:
        words: From `receipt_ocr.evaluation.words.prepare_truth`, whose settings hold here too;
            but all detections are measured, also beyond the limit of their number.
        detections: (P, 2) polygons in the frame of the truth; those of fewer than 4 points are
            skipped.

    Raises:
        ValueError: If a detection is not (P, 2) finite numbers.
    """
    found = collect_outlines(detections, "detection", words.settings)
    characters, holders = _find_characters(words, found)
    # A pair is the number of its place in a (detections, truths) table.
    width = max(len(words.outlines), 1)
    places = holders * width + words.owners[characters]
    pairs = np.unique(np.concatenate([places, _near_ignored(words, found, width)]))
    columns, rows = np.divmod(pairs, width)
    character_pairs = np.searchsorted(pairs, places)
    inside = np.bincount(character_pairs, minlength=len(pairs))
    shares = _measure_shares(words, found, rows, columns)
    return Overlap(
        words=words,
        found=found,
        truths=rows,
        detections=columns,
        inside=inside,
        shares=shares,
        characters=characters,
        character_pairs=character_pairs,
        is_care=_care_detections(words.is_care[rows], columns, inside, shares, len(found)),
        charges=np.zeros(len(found), dtype=np.intp),
    )


def _find_characters(words: TruthWords, found: Outlines) -> tuple[Indices, Indices]:
    """Pairs of a character and a detection that holds its centre, sorted by detection.

    Even-odd crossing test: left and upper edges belong to a detection, right and lower ones do
    not.
    """
    heights = words.centres[words.downwards, 1]
    firsts = np.searchsorted(heights, found.boxes[:, 1])
    lasts = np.searchsorted(heights, found.boxes[:, 3], side="right")
    room = int((lasts - firsts).sum())
    pairs = np.empty((2, room), dtype=np.intp)
    outlines = (found.whole.points, found.whole.starts, found.boxes)
    count = _cross_edges(words.centres, words.downwards, (firsts, lasts), outlines, pairs)
    return pairs[0, :count], pairs[1, :count]


@compiled
def _cross_edges(
    centres: Polygon,
    downwards: Indices,
    spans: tuple[Indices, Indices],
    outlines: tuple[Polygon, Indices, NDArray[np.float64]],
    pairs: NDArray[np.intp],
) -> int:
    """Fill the (2, N) room for characters and their detections, and count these pairs.

    ``spans`` are the first place and the end, in the order of ``downwards``, of the characters
    that each detection may hold; ``outlines`` the detections' points, starts and boxes.
    """
    points, starts, boxes = outlines
    count = 0
    for detection in range(len(boxes)):
        first, end = starts[detection], starts[detection + 1]
        left, right = boxes[detection, 0], boxes[detection, 2]
        for place in range(spans[0][detection], spans[1][detection]):
            character = downwards[place]
            x, y = centres[character, 0], centres[character, 1]
            if x < left or x > right:
                continue
            is_inside = False
            x1, y1 = points[end - 1, 0], points[end - 1, 1]
            for k in range(first, end):
                x2, y2 = points[k, 0], points[k, 1]
                if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                    is_inside = not is_inside
                x1, y1 = x2, y2
            if is_inside:
                pairs[0, count], pairs[1, count] = character, detection
                count += 1
    return count


def _near_ignored(words: TruthWords, found: Outlines, width: int) -> Indices:
    """Pairs of don't-care words and detections whose bounding boxes meet."""
    ignored = np.flatnonzero(~words.is_care)
    boxes = words.outlines.boxes[ignored, None, :]
    is_near = (boxes[..., :2] <= found.boxes[:, 2:]).all(axis=-1)
    is_near &= (boxes[..., 2:] >= found.boxes[:, :2]).all(axis=-1)
    rows, columns = np.nonzero(is_near)
    return columns * width + ignored[rows]


def _measure_shares(
    words: TruthWords, found: Outlines, rows: Indices, columns: Indices
) -> NDArray[np.float32]:
    """(R,) area precision: share of the detection that lies on the true word; 0 without an area.

    Don't-care words that care words lie on, and polygons that touch themselves, are left to
    shapely.
    """
    own = words.outlines
    shared = measure_shared_areas(own.flat, found.flat, rows, columns)
    areas = found.areas[columns]
    is_reduced = np.isin(rows, list(words.remains)) if words.remains else False
    hard = np.flatnonzero((shared < 0.0) | is_reduced)
    if len(hard):
        regions = own.regions(rows[hard])
        for position, row in enumerate(rows[hard].tolist()):
            regions[position] = words.remains.get(row, regions[position])
        others = found.regions(columns[hard])
        shared[hard] = shapely.area(shapely.intersection(regions, others))
        areas[hard] = shapely.area(others)
    shares = np.zeros(len(rows), dtype=np.float32)
    shares[:] = np.divide(shared, areas, out=np.zeros_like(areas), where=areas > 0.0)
    return shares


def _care_detections(
    is_care: Flags, columns: Indices, inside: Indices, shares: NDArray[np.float32], count: int
) -> Flags:
    """(D,) which of the ``count`` detections don't-care words do not excuse.

    One excuses a detection that it is close to; several do together, if they have characters in
    the detection and the shares sum up to as much.
    """
    cares = np.ones(count, dtype=np.bool_)
    cares[columns[~is_care & (shares >= np.float32(CLOSE))]] = False
    partly = ~is_care & (inside > 0)
    # In float64, as the reference does, although the shares themselves are float32.
    covered = np.bincount(columns[partly], shares[partly].astype(np.float64), minlength=count)
    cares &= covered < CLOSE
    return cares
