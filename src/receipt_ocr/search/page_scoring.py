"""Pages scored at many post-processing settings at once.

Contours and their scores are found once for every ``thresh``; kernels are unclipped into words, and
the words' overlap with the truth is measured, once for every ``unclip_ratio`` at it.
``box_thresh``, ``max_candidates`` and ``min_size`` only choose among these words.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.candidates import Candidates, find_candidates, select_candidates
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import (
    are_narrow,
    finish_words,
    place_on_page,
    unclip_candidates,
)
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import Overlap, TruthWords, measure_overlap, score_overlap
from receipt_ocr.search.workers import note_errors

MEASURES = ("recall", "precision", "hmean")
RANGES = {
    "thresh": (0.0, 1.0),
    "box_thresh": (0.0, 1.0),
    "unclip_ratio": (0.05, np.inf),
    "max_candidates": (1.0, np.inf),
    "min_size": (0.0, np.inf),
}
"""Lowest and highest value of each tuned setting."""

TIE = 1e-12
"""Means that differ by less are equal: of the same page scores in another order of adding."""

PageScores = NDArray[np.float64]
"""(points, 3) or (pages, 3): recall, precision and H-mean of a page at a point."""

Measured = tuple[float, float, float]
"""Recall, precision and H-mean."""
Indices = NDArray[np.intp]


class Point(NamedTuple):
    """The settings that are tuned."""

    thresh: float
    box_thresh: float
    unclip_ratio: float
    max_candidates: int
    min_size: float

    @classmethod
    def of(cls, settings: PostprocessSettings) -> "Point":
        """Take the tuned settings out of all settings."""
        return cls._make(getattr(settings, name) for name in cls._fields)

    def within(self, base: PostprocessSettings) -> PostprocessSettings:
        """Put these values in place of the base's."""
        return base.model_copy(update=self._asdict())


def score_page(
    page_map: ProbabilityMap,
    truth: TruthWords,
    points: Sequence[Point],
    base: PostprocessSettings,
) -> PageScores:
    """Score one page at every point; the base holds everything that is not tuned.

    Points of one ``thresh``, and of one ``unclip_ratio`` at it, share most of their cost.

    Raises:
        Exception: Any error of decoding or scoring, with notes that name the settings.
    """
    scores: dict[Point, Measured] = {}
    for thresh, at_thresh in _group(points, "thresh"):
        with note_errors(f"at thresh={thresh:g}"):
            smallest = min(point.min_size for point in at_thresh)
            candidates = find_candidates(page_map.probability, thresh, base.shape, smallest)
            # The ratio has no say in what is selected: one selection serves all of them.
            choices = {point: point._replace(unclip_ratio=base.unclip_ratio) for point in at_thresh}
            selected = {
                choice: select_candidates(candidates, choice.within(base))
                for choice in dict.fromkeys(choices.values())
            }
            for ratio, group in _group(at_thresh, "unclip_ratio"):
                with note_errors(f"at unclip_ratio={ratio:g}"):
                    selections = {point: selected[choices[point]] for point in group}
                    scores |= _score_unclipped(candidates, selections, base, page_map, truth)
    return np.array([scores[point] for point in points])


def _group(points: Iterable[Point], setting: str) -> list[tuple[float, list[Point]]]:
    """Points by the value of a setting, in the order in which the values occur first."""
    groups: dict[float, list[Point]] = {}
    for point in points:
        groups.setdefault(getattr(point, setting), []).append(point)
    return list(groups.items())


def _score_unclipped(
    candidates: Candidates,
    selections: Mapping[Point, Indices],
    base: PostprocessSettings,
    page_map: ProbabilityMap,
    truth: TruthWords,
) -> dict[Point, Measured]:
    """Score points of one ``thresh`` and ``unclip_ratio``, each with its selected candidates."""
    sizes = {point.min_size for point in selections}
    ratio = next(iter(selections)).unclip_ratio
    needed = np.unique(np.concatenate(list(selections.values())))
    words, origins = unclip_candidates(candidates, needed, ratio)
    narrow = {size: are_narrow(words, size) for size in sizes}
    is_wide = ~narrow[min(sizes)]
    # Only words that are too narrow at every size are dropped before the overlap is measured.
    words, origins = finish_words(words, origins, base.model_copy(update={"min_size": min(sizes)}))
    overlap = measure_overlap(truth, place_on_page(words, page_map.map_to_page))
    word_of = np.full(len(candidates.kernels), -1)
    word_of[origins] = np.arange(len(origins))
    found = {}
    for point, selection in selections.items():
        own = word_of[selection]
        own = own[own >= 0]
        found[point] = own[~narrow[point.min_size][is_wide][own]]
    return _score_choices(overlap, len(words), found)


def _score_choices(
    overlap: Overlap, words: int, found: Mapping[Point, Indices]
) -> dict[Point, Measured]:
    """Score each point's choice among a page's words."""
    limit = overlap.words.settings.max_detections
    # Words of fewer than 4 points are not in the overlap, but count for the limit.
    places = np.full(words, -1)
    places[overlap.found.indices] = np.arange(len(overlap.found))
    known: dict[bytes, Measured] = {}
    scores = {}
    for point, own in found.items():
        chosen = places[own[:limit]]
        key = chosen.tobytes()
        if key not in known:  # neighbouring settings often choose the same words
            page = score_overlap(overlap, chosen[chosen >= 0])
            known[key] = page.recall, page.precision, page.hmean
        scores[point] = known[key]
    return scores
