"""Checks of the train words at the size that the network sees: too small, too close, ignored."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from receipt_ocr.checks.findings import Finding, Level
from receipt_ocr.geometry.polygons import Polygon, short_side, transform_polygon
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.settings import STRIDE, FrameSettings, TargetSettings
from receipt_ocr.receipts.targets import render_targets

READABLE_HEIGHT = 6.0  # frame pixels: smaller text is found badly
GOOD_HEIGHT = 8.0  # frame pixels, aimed at by the advice
LOST_HEIGHT = 4.0  # frame pixels: half of the words under it, and there is little to find
KERNEL_SAMPLE = 3000  # words whose target is drawn: about 0.1 ms each
OVERLAP = 0.3  # of the smaller word's area
MANY_OVERLAP = 0.02  # of the words; the next two also
MANY_LOST = 0.02
MOST_LOST = 0.2
MANY_IGNORED = 0.2


@dataclass(frozen=True)
class MeasuredWords:
    """Words of train pages in their frames at one size."""

    size: int
    """Longest side of a page in the frame, pixels."""
    polygons: list[Polygon]
    """Each (P, 2) frame pixels."""
    pages: NDArray[np.int64]
    """(W,) the row of each word's page."""
    ignored: NDArray[np.bool_]
    """(W,) whether a word is don't-care."""

    @property
    def heights(self) -> NDArray[np.float64]:
        """(W,) text heights in frame pixels: the shorter side of the minimum-area box."""
        return np.array([short_side(polygon) for polygon in self.polygons], dtype=np.float64)


def measure_words(pages: pd.DataFrame, words: pd.DataFrame, size: int) -> MeasuredWords:
    """Scale the words of one subset's pages to frames with a longest side of ``size`` pixels."""
    index = {name: position for position, name in enumerate(pages["page"])}
    matrices = [
        fit_frame(width, height, size).page_to_map
        for width, height in zip(pages["width"], pages["height"], strict=True)
    ]
    own = words[words["page"].isin(index)]
    owners = own["page"].map(index).to_numpy(dtype=np.int64)
    polygons = [
        transform_polygon(np.reshape(flat, (-1, 2)), matrices[owner])
        for flat, owner in zip(own["polygon"], owners, strict=True)
    ]
    return MeasuredWords(size, polygons, owners, own["ignored"].to_numpy(dtype=bool))


def inspect_words(
    words: MeasuredWords, frame: FrameSettings, targets: TargetSettings
) -> list[Finding]:
    """Check size, kernels, overlap and don't-care words of train pages at the final size."""
    if not words.polygons:
        return []
    return [
        _inspect_height(words, frame),
        _inspect_kernels(words, targets),
        _inspect_overlap(words),
        _inspect_ignored(words),
    ]


def _inspect_height(words: MeasuredWords, frame: FrameSettings) -> Finding:
    heights = words.heights
    low, middle = (float(value) for value in np.percentile(heights, [5, 50]))
    message = (
        f"at {words.size} px (longest side) text is {middle:.1f} px high in the median, "
        f"{low:.1f} px at the 5th percentile"
    )
    if (first := frame.size_at(0)) < words.size:
        message += f"; at the first epochs' {first} px {low * first / words.size:.1f} px"
    if low >= READABLE_HEIGHT:
        return Finding("ok", "text height", message)
    wanted = -(-int(np.ceil(words.size * GOOD_HEIGHT / max(low, 0.01))) // STRIDE) * STRIDE
    if wanted > 8 * words.size:
        advice = "no training size will do: check that the polygons are pixels of these images"
    else:
        advice = (
            f"a frame size of {wanted} (recipe.frame.sizes) would bring the 5th percentile to "
            f"{GOOD_HEIGHT:g} px"
        )
    return Finding("problem" if middle < LOST_HEIGHT else "warning", "text height", message, advice)


def _inspect_kernels(words: MeasuredWords, targets: TargetSettings) -> Finding:
    """Count words that leave nothing to learn: masked as tiny, or shrunk to nothing."""
    cared = np.flatnonzero(~words.ignored)
    step = max(1, len(cared) // KERNEL_SAMPLE)
    sample = [words.polygons[index] for index in cared[::step]]
    areas = np.array([shapely.Polygon(polygon).area for polygon in sample])
    tiny = np.array([min(np.ptp(polygon, axis=0)) < targets.min_height for polygon in sample], bool)
    vanished = np.array([not _has_kernel(polygon, targets) for polygon in sample], bool) & ~tiny
    lost = tiny | vanished
    if not lost.any():
        return Finding("ok", "kernels", f"every word leaves a kernel to learn at {words.size} px")
    share = float(lost.mean())
    message = (
        f"at {words.size} px {tiny.mean():.1%} of the words are under targets.min_height "
        f"({targets.min_height:g} px) and {vanished.mean():.1%} shrink to nothing; both are masked "
        f"({areas[lost].sum() / max(areas.sum(), 1e-9):.1%} of the text area)"
    )
    advice = "raise recipe.frame.sizes"
    if vanished.sum() > tiny.sum():
        advice += f", or targets.shrink_ratio (now {targets.shrink_ratio:g}) for wider kernels"
    if share <= MANY_LOST:
        return Finding("ok", "kernels", message)
    level: Level = "problem" if share > MOST_LOST else "warning"
    return Finding(level, "kernels", message, advice)


def _has_kernel(polygon: Polygon, targets: TargetSettings) -> bool:
    """Whether the word alone, in a window of its own, has a kernel in its target."""
    corner = np.floor(polygon.min(axis=0))  # whole pixels: truncation gives the same shape
    width, height = (np.ceil(polygon.max(axis=0)) - corner + 1).astype(int)
    drawn = render_targets([polygon - corner], int(height), int(width), targets)
    return bool(drawn.shrink_map.any())


def _inspect_overlap(words: MeasuredWords) -> Finding:
    regions = shapely.make_valid(shapely.polygons([*map(shapely.LinearRing, words.polygons)]))
    areas = shapely.area(regions)
    # Pages are laid side by side, so that one tree finds the neighbours of all.
    bounds = shapely.bounds(regions)
    bounds[:, [0, 2]] += (words.pages * 2.0 * words.size)[:, None]
    boxes = shapely.box(*bounds.T)
    left, right = shapely.STRtree(boxes).query(boxes)
    pairs = left < right
    left, right = left[pairs], right[pairs]
    common = shapely.area(shapely.intersection(regions[left], regions[right]))
    is_close = common > OVERLAP * np.maximum(np.minimum(areas[left], areas[right]), 1e-9)
    is_same = common > 0.9 * np.maximum(areas[left], areas[right])
    touched = len(np.unique(np.concatenate([left[is_close], right[is_close]])))
    share = touched / len(words.polygons)
    if not touched:
        return Finding("ok", "overlap", f"no two words share {OVERLAP:.0%} of the smaller one")
    message = (
        f"{share:.1%} of the words overlap another by {OVERLAP:.0%} of the smaller one or more"
    )
    if is_same.any():
        message += f"; {int(is_same.sum())} pairs are nearly the same polygon"
    if share <= MANY_OVERLAP:
        return Finding("ok", "overlap", message)
    advice = "words labelled twice, or lines inside blocks: keep one polygon for each word"
    return Finding("warning", "overlap", message, advice)


def _inspect_ignored(words: MeasuredWords) -> Finding:
    share = float(words.ignored.mean())
    message = f"{share:.1%} of the train words are don't care (illegible): not learnt, not scored"
    if share <= MANY_IGNORED:
        return Finding("ok", "ignored words", message)
    advice = "check the 'illegibility' flags: true must mean that nobody can read the word"
    return Finding("problem" if share > 0.9 else "warning", "ignored words", message, advice)
