"""CLEval, the character-level detection score of the contest.

Every word is cut into characters, and a page is scored by how many of them lie in a matching
detection, less one for each needless cut or join (Baek et al., "CLEval: Character-Level
Evaluation for Text Detection and Recognition Tasks", 2020). Step by step:

1. `words`: number and centres of each true word's characters; don't-care words lose the area that
   care words cover.
2. `overlap`: which character centres lie in which detections, the area that each pair shares, and
   which detections don't-care words excuse.
3. `matching`: which words and detections match, one to one, one to many or many to one.
4. `score_overlap`: a character in a matching detection is found, once. A missed word's characters
   count as true and not as found. A false detection is charged the characters of its shape.
5. `PageScore`: recall and precision from these counts; a cut or a join costs a character.

The details that the paper leaves open follow the contest's own code, so that counts are equal, not
merely close.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.evaluation.matching import match_words
from receipt_ocr.evaluation.overlap import Overlap, measure_overlap
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.evaluation.words import TruthWords, prepare_truth

__all__ = [
    "CLEvalSettings",
    "DatasetScore",
    "Overlap",
    "PageScore",
    "TruthWords",
    "measure_overlap",
    "prepare_truth",
    "score_overlap",
    "score_page",
    "score_pages",
    "score_prepared",
]

Indices = tuple[int, ...]


@dataclass(frozen=True)
class PageScore:
    """The counts of one page, and its errors as indices into the given sequences."""

    characters_truth: int
    """Characters of the care words, found or missed."""
    characters_detected: int
    """Characters inside their matching detections, plus the false positives."""
    characters_matched: int
    """Characters inside at least one matching detection, each counted once."""
    false_positives: int
    """Characters charged for care detections without a match."""
    recall_penalty: int
    """Needless cuts: matched detections beyond a word's first."""
    precision_penalty: int
    """Needless joins: matched words beyond a detection's first."""
    missed: Indices = ()
    """Care words without a match."""
    split: Indices = ()
    """Care words with two or more matched detections."""
    merged: Indices = ()
    """Care detections with two or more matched words."""
    false: Indices = ()
    """Care detections without a match."""

    @property
    def recall(self) -> float:
        """Share of the true characters found, less the cuts; 0 without true characters."""
        return _share(self.characters_matched - self.recall_penalty, self.characters_truth)

    @property
    def precision(self) -> float:
        """Share of the detected characters that are true, less the joins; 0 without any."""
        return _share(self.characters_matched - self.precision_penalty, self.characters_detected)

    @property
    def hmean(self) -> float:
        """Harmonic mean of recall and precision."""
        recall, precision = self.recall, self.precision
        total = recall + precision
        return 2 * recall * precision / total if total else 0.0


@dataclass(frozen=True)
class DatasetScore:
    """The score of many pages.

    Means over the pages, as on the leaderboard, and ``corpus`` figures from the counts of all
    pages together, as in the paper.
    """

    recall: float
    precision: float
    hmean: float
    """Mean of each page's H-mean."""
    corpus_recall: float
    corpus_precision: float
    corpus_hmean: float
    """Harmonic mean of the corpus recall and precision."""
    pages: int
    blank_pages: int
    """Pages without any true character: they count 0 in the page means, whatever is found."""


def score_page(
    truth: Sequence[ArrayLike],
    detections: Sequence[ArrayLike],
    *,
    transcriptions: Sequence[str | None] | None = None,
    ignored: Sequence[bool] | None = None,
    settings: CLEvalSettings | None = None,
) -> PageScore:
    """Score the detections of one page.

    Args:
        truth: (P, 2) polygons of the true words.
        detections: (P, 2) polygons in the same frame; polygons of fewer than 4 points, here and
            in ``truth``, are skipped.
        transcriptions: The text of each true word; without, its length is estimated.
        ignored: True for don't-care words.
        settings: Word model, rounding and the limit of detections; the contest's if None.

    Returns:
        The page's counts. A page without truth scores 0, also if nothing was detected.

    Raises:
        ValueError: If a polygon is not (P, 2) finite numbers, naming it, or if
            ``transcriptions`` or ``ignored`` are not one a truth.
    """
    words = prepare_truth(truth, transcriptions=transcriptions, ignored=ignored, settings=settings)
    return score_prepared(words, detections)


def score_prepared(words: TruthWords, detections: Sequence[ArrayLike]) -> PageScore:
    """Score (P, 2) detections against words of the same frame, with the words' settings.

    Raises:
        ValueError: If a detection is not (P, 2) finite numbers.
    """
    return score_overlap(measure_overlap(words, detections[: words.settings.max_detections]))


def score_overlap(overlap: Overlap, chosen: NDArray[np.intp] | None = None) -> PageScore:
    """Count the characters of a page, for a choice among detections whose overlap is known.

    Args:
        overlap: From `measure_overlap`.
        chosen: Positions in ``overlap.found`` of the detections that take part; all if None. No
            limit of their number is applied.
    """
    words, found = overlap.words, overlap.found
    is_chosen = np.full(len(found), chosen is None)
    if chosen is not None:
        is_chosen[chosen] = True
    match = match_words(overlap, is_chosen)
    matches_of_word = np.bincount(overlap.truths[match], minlength=len(words.is_care))
    matches_of_detection = np.bincount(overlap.detections[match], minlength=len(found))
    # A character that several matching detections hold is found once, but detected by each.
    is_found = np.zeros(len(words.centres), dtype=np.bool_)
    is_found[overlap.characters[match[overlap.character_pairs]]] = True
    is_missed = words.is_care & (matches_of_word == 0)
    is_false = is_chosen & overlap.is_care & (matches_of_detection == 0)
    charged = overlap.false_positive_characters(np.flatnonzero(is_false))
    return PageScore(
        characters_truth=int(words.lengths[words.is_care].sum()),
        characters_detected=int(overlap.inside[match].sum()) + charged,
        characters_matched=int(np.count_nonzero(is_found)),
        false_positives=charged,
        recall_penalty=int(np.maximum(matches_of_word - 1, 0).sum()),
        precision_penalty=int(np.maximum(matches_of_detection - 1, 0).sum()),
        missed=_indices(words.outlines.indices, is_missed),
        split=_indices(words.outlines.indices, matches_of_word > 1),
        merged=_indices(found.indices, matches_of_detection > 1),
        false=_indices(found.indices, is_false),
    )


def score_pages(page_scores: Sequence[PageScore]) -> DatasetScore:
    """Average the pages as the leaderboard does, and score the counts of all pages together.

    The leaderboard has no exception for a page without text: such a page scores 0 and stays in
    the mean, so a clean sheet of them cannot reach 1. ``blank_pages`` tells how many there are;
    the corpus figures are hurt by what was detected on them, but not by their presence.

    Raises:
        ValueError: If there are no pages.
    """
    if not page_scores:
        raise ValueError("a score needs at least one page, got none")
    total = PageScore(
        characters_truth=sum(page.characters_truth for page in page_scores),
        characters_detected=sum(page.characters_detected for page in page_scores),
        characters_matched=sum(page.characters_matched for page in page_scores),
        false_positives=sum(page.false_positives for page in page_scores),
        recall_penalty=sum(page.recall_penalty for page in page_scores),
        precision_penalty=sum(page.precision_penalty for page in page_scores),
    )
    return DatasetScore(
        recall=float(np.mean([page.recall for page in page_scores])),
        precision=float(np.mean([page.precision for page in page_scores])),
        hmean=float(np.mean([page.hmean for page in page_scores])),
        corpus_recall=total.recall,
        corpus_precision=total.precision,
        corpus_hmean=total.hmean,
        pages=len(page_scores),
        blank_pages=sum(1 for page in page_scores if page.characters_truth == 0),
    )


def _indices(given: NDArray[np.intp], chosen: NDArray[np.bool_]) -> Indices:
    return tuple(given[chosen].tolist())


def _share(numerator: int, denominator: int) -> float:
    return max(0, numerator) / denominator if denominator else 0.0
