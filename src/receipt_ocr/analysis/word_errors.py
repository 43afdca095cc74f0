"""Word by word, what was found and what was not, and which words those are.

A row stands for a true word (``found``, ``missed`` or ``split``) or for a detection that matches
none (``false``) or several (``merged``), all in upright page pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import Interval, bootstrap_share
from receipt_ocr.evaluation.cleval import PageScore, TruthWords
from receipt_ocr.geometry.polygons import Polygon, measure_line

WORD_TYPES = {
    **dict.fromkeys(["member", "subset", "page", "outcome"], "str"),
    "is_true": "bool",
    **dict.fromkeys(["characters", "words_of_page"], "int64"),
    **dict.fromkeys(["height", "length", "tilt"], "float64"),
}
WORD_COLUMNS = list(WORD_TYPES)

GROUPS = {"height": "height", "length": "characters", "tilt": "tilt", "density": "words_of_page"}
"""Grouping of words -> its column."""

_TILTS = (1.0, 3.0, 10.0)  # degrees
UPRIGHT = 45.0
_STANDING_OUT = 1.5  # length of a side beside the other, below which a tilt means nothing


@dataclass(frozen=True)
class ValueRange:
    """The values of a group, as they are named."""

    kind: str
    """``all``, ``below``, ``up to``, ``from``, ``between`` or ``single``."""
    first: str
    last: str


@dataclass(frozen=True)
class WordGroup:
    """Losses among true words that are alike."""

    values: ValueRange
    words: int
    missed_share: float
    interval: Interval | None
    """95 % interval of that share, whole pages being drawn; None for a single page."""
    split_share: float
    missed_characters: int
    lost_share: float
    """The missed characters as a share of those of all groups."""
    false: int | None
    """False detections of such size; None where a detection has none, as of characters."""
    merged: int | None


@dataclass(frozen=True)
class WordLosses:
    """Losses among all true words."""

    words: int
    pages: int
    missed: int
    groups: Mapping[str, Sequence[WordGroup]]
    """Key of :data:`GROUPS` -> groups in rising order."""
    untilted: int
    """Words without a tilt; see :func:`has_tilt`."""
    untilted_missed_share: float
    """NaN where there are none."""


Judged = Mapping[str, tuple[Sequence[Polygon], PageScore]]
"""Page -> polygons that were found, in upright page pixels, and their score."""


def tabulate_words(
    member: str, subset: str, judged: Judged, truths: Mapping[str, TruthWords]
) -> pd.DataFrame:
    """One row a true word that counts, and one a detection that matches none or several.

    Returns:
        ``member, subset, page, outcome, is_true, characters`` (0 of a detection),
        ``words_of_page`` (true ones that count), ``height, length`` (pixels), ``tilt`` (degrees).
    """
    rows: list[tuple[Any, ...]] = []
    for page, (found, score) in judged.items():
        truth = truths[page]
        common, count = (member, subset, page), int(truth.is_care.sum())
        for place in np.flatnonzero(truth.is_care).tolist():
            given = int(truth.outlines.indices[place])
            outcome = "missed" if given in score.missed else "found"
            outcome = "split" if given in score.split else outcome
            sizes = measure_line(truth.outlines.given[place])
            rows.append((*common, outcome, True, int(truth.lengths[place]), count, *sizes))
        for outcome, indices in (("merged", score.merged), ("false", score.false)):
            rows += [
                (*common, outcome, False, 0, count, *measure_line(found[index]))
                for index in indices
            ]
    columns = [*WORD_COLUMNS[:7], "length", "height", "tilt"]
    return pd.DataFrame(rows, columns=columns).astype(WORD_TYPES)[WORD_COLUMNS]


def choose_worst(judged: Judged, count: int) -> dict[str, tuple[Sequence[Polygon], PageScore]]:
    """At most ``count`` pages with the lowest H-mean, worst first, and with a true character."""
    own = [(page, one) for page, one in judged.items() if one[1].characters_truth]
    return dict(sorted(own, key=lambda item: (item[1][1].hmean, item[0]))[:count])


def state_losses(words: pd.DataFrame) -> WordLosses:
    """Losses in all groups of the words of one or more members."""
    true = words[words["is_true"]]
    rest = true.loc[~has_tilt(true), "outcome"]
    return WordLosses(
        words=len(true),
        pages=words["page"].nunique(),
        missed=int((true["outcome"] == "missed").sum()),
        groups={by: group_errors(words, by) for by in GROUPS},
        untilted=len(rest),
        untilted_missed_share=float((rest == "missed").mean()),
    )


def group_errors(words: pd.DataFrame, by: str) -> list[WordGroup]:
    """Measure the losses in each group of true words, in rising order.

    ``height``, ``length`` and ``density`` are cut into quarters of the true words, ``tilt`` at 1, 3
    and 10 degrees (of what :func:`has_tilt`).

    Raises:
        ValueError: If ``by`` is none of these.
    """
    if by not in GROUPS:
        raise ValueError(f"by must be one of {', '.join(GROUPS)}, got {by!r}")
    own = words[has_tilt(words)] if by == "tilt" else words
    true = own[own["is_true"]]
    if true.empty:
        return []
    total = max(1, int(words.loc[words["is_true"], "characters"].sum()))
    groups = []
    for low, high in pairwise(_edges(true[GROUPS[by]], by)):
        inside = own[(own[GROUPS[by]] >= low) & (own[GROUPS[by]] < high)]
        if inside["is_true"].any():
            groups.append(_describe(inside, _name_range(low, high, by), total, by))
    return groups


def has_tilt(words: pd.DataFrame) -> "pd.Series[bool]":
    """Mark the rows of :func:`tabulate_words` that are lines with a direction.

    They are clearly longer than high, and lie: what stands upright is mostly one narrow letter,
    such as 1 or |, not a tilted line.
    """
    lies = words["tilt"] <= UPRIGHT
    return lies & (words["length"] >= _STANDING_OUT * words["height"])


def _describe(inside: pd.DataFrame, values: ValueRange, total: int, by: str) -> WordGroup:
    true = inside[inside["is_true"]]
    is_missed = true["outcome"] == "missed"
    by_page = is_missed.groupby(true["page"]).agg(["sum", "count"])
    interval = None  # one page says nothing of others
    if len(by_page) > 1:
        interval = bootstrap_share(by_page["sum"].to_numpy(), by_page["count"].to_numpy())
    lost = int(true.loc[is_missed, "characters"].sum())
    wrong = inside["outcome"].value_counts()
    return WordGroup(
        values=values,
        words=len(true),
        missed_share=float(is_missed.mean()),
        interval=interval,
        split_share=float((true["outcome"] == "split").mean()),
        missed_characters=lost,
        lost_share=lost / total,
        # A detection has no characters to be grouped by.
        false=None if by == "length" else int(wrong.get("false", 0)),
        merged=None if by == "length" else int(wrong.get("merged", 0)),
    )


def _edges(values: pd.Series, by: str) -> list[float]:
    if by == "tilt":
        return [0.0, *_TILTS, np.inf]
    quarters = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="higher"))
    # As they are named, so that the names are true.
    quarters = np.unique(np.round(quarters, 1) if by == "height" else np.ceil(quarters))
    inner = [float(edge) for edge in quarters if values.min() < edge]
    return [-np.inf, *inner, np.inf]


def _name_range(low: float, high: float, by: str) -> ValueRange:
    is_measured = by in {"height", "tilt"}  # the others are counted
    digits = 1 if by == "height" else 0
    last = high if is_measured else high - 1
    kind = "between" if low != last else "single"
    if low in {-np.inf, 0.0}:
        kind = "below" if is_measured else "up to"
    if high == np.inf:
        kind = "all" if low == -np.inf else "from"
    return ValueRange(kind, f"{low:.{digits}f}", f"{last:.{digits}f}")
