"""Word by word, what was found and what was not, and which words those are.

A row stands for a true word (``found``, ``missed`` or ``split``) or for a detection that matches
none (``false``) or several (``merged``), all in upright page pixels.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import Interval, bootstrap_share
from receipt_ocr.evaluation.cleval import PageScore, TruthWords
from receipt_ocr.geometry.polygons import Polygon, measure_line
from receipt_ocr.report.language import say

__all__ = ["GROUPS", "WORD_COLUMNS", "choose_worst", "group_errors", "has_tilt", "tabulate_words"]

WORD_TYPES = {
    **dict.fromkeys(["member", "subset", "page", "outcome"], "str"),
    "is_true": "bool",
    **dict.fromkeys(["characters", "words_of_page"], "int64"),
    **dict.fromkeys(["height", "length", "tilt"], "float64"),
}
WORD_COLUMNS = list(WORD_TYPES)

GROUPS = {
    "height": "text height in pixels",
    "length": "characters of the word",
    "tilt": "tilt in degrees",
    "density": "words on the page",
}
"""What words are grouped by -> in words."""

_TILTS = (1.0, 3.0, 10.0)
_COLUMN = {"height": "height", "length": "characters", "tilt": "tilt", "density": "words_of_page"}
UPRIGHT = 45.0
_STANDING_OUT = 1.5  # length of a side beside the other, below which a tilt means nothing

Judged = Mapping[str, tuple[Sequence[Polygon], PageScore]]


def tabulate_words(
    member: str, subset: str, judged: Judged, truths: Mapping[str, TruthWords]
) -> pd.DataFrame:
    """One row a true word that counts, and one a detection that matches none or several.

    Args:
        member: Who found the polygons.
        subset: ``out_of_fold``, ``holdout`` or ``test``.
        judged: Page -> polygons that were found, in upright page pixels, and their score.
        truths: Page -> its words, those that the scores are of.

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
    """The pages with the lowest H-mean, worst first; not those without a true character.

    Args:
        judged: Page -> polygons that were found, and their score.
        count: How many, at most.
    """
    own = [(page, one) for page, one in judged.items() if one[1].characters_truth]
    return dict(sorted(own, key=lambda item: (item[1][1].hmean, item[0]))[:count])


def group_errors(words: pd.DataFrame, by: str) -> pd.DataFrame:
    """How much of the true words is lost in each group of them.

    Args:
        words: Rows of :func:`tabulate_words` of one or more members.
        by: ``height``, ``length`` and ``density`` are cut into quarters of the true words,
            ``tilt`` at 1, 3 and 10 degrees (of what :func:`has_tilt`).

    Returns:
        A row a group with words, in rising order: ``group`` (its range), ``words``,
        ``missed_share`` with ``low`` and ``high`` (95 % interval, whole pages are drawn; NaN of a
        single page), ``split_share``, ``missed_characters``, ``lost_share`` (of all characters of
        the table, those of the group's missed words), and ``false`` and ``merged`` detections of
        such size.

    Raises:
        ValueError: If ``by`` is none of these.
    """
    if by not in _COLUMN:
        raise ValueError(f"by must be one of {', '.join(_COLUMN)}, got {by!r}")
    column = _COLUMN[by]
    own = words
    if by == "tilt":
        own = words[has_tilt(words)]
    true = own[own["is_true"]]
    if true.empty:
        return pd.DataFrame(columns=["group", "words"])
    edges = _edges(true[column], by)
    total = max(1, int(words.loc[words["is_true"], "characters"].sum()))
    rows = []
    for low, high in pairwise(edges):
        inside = own[(own[column] >= low) & (own[column] < high)]
        rows += _describe(inside, _name_range(low, high, by), total, by)
    return pd.DataFrame(rows)


def has_tilt(words: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows of :func:`tabulate_words` are lines with a direction.

    They are clearly longer than high, and lie: what stands upright is mostly one narrow letter,
    such as 1 or |, not a tilted line.

    Args:
        words: With ``tilt`` (degrees) and ``length`` and ``height`` (pixels).

    Returns:
        A truth value a row, of the same index.
    """
    lies = words["tilt"] <= UPRIGHT
    return lies & (words["length"] >= _STANDING_OUT * words["height"])


def _describe(inside: pd.DataFrame, name: str, total: int, by: str) -> list[dict[str, Any]]:
    true = inside[inside["is_true"]]
    if true.empty:
        return []
    is_missed = true["outcome"] == "missed"
    by_page = is_missed.groupby(true["page"]).agg(["sum", "count"])
    share = Interval(float(is_missed.mean()), np.nan, np.nan)  # one page says nothing of others
    if len(by_page) > 1:
        share = bootstrap_share(by_page["sum"].to_numpy(), by_page["count"].to_numpy())
    lost = int(true.loc[is_missed, "characters"].sum())
    wrong = inside["outcome"].value_counts()
    return [
        {
            "group": name,
            "words": len(true),
            "missed_share": float(is_missed.mean()),
            "low": share.low,
            "high": share.high,
            "split_share": float((true["outcome"] == "split").mean()),
            "missed_characters": lost,
            "lost_share": lost / total,
            # A detection has no characters to be grouped by.
            "false": None if by == "length" else int(wrong.get("false", 0)),
            "merged": None if by == "length" else int(wrong.get("merged", 0)),
        }
    ]


def _edges(values: pd.Series, by: str) -> list[float]:
    if by == "tilt":
        return [0.0, *_TILTS, np.inf]
    quarters = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="higher"))
    # As they are named, so that the names are true.
    quarters = np.unique(np.round(quarters, 1) if by == "height" else np.ceil(quarters))
    inner = [float(edge) for edge in quarters if values.min() < edge]
    return [-np.inf, *inner, np.inf]


def _name_range(low: float, high: float, by: str) -> str:
    if low == -np.inf and high == np.inf:
        return say("all")
    digits = 1 if by == "height" else 0
    last = high if by in {"height", "tilt"} else high - 1
    first, end = f"{low:.{digits}f}", f"{last:.{digits}f}"
    if low in {-np.inf, 0.0}:
        is_below = by in {"height", "tilt"}
        return say("below {end}", end=end) if is_below else say("up to {end}", end=end)
    if high == np.inf:
        return say("{first} and more", first=first)
    return say("{first} to {end}", first=first, end=end) if low != last else first
