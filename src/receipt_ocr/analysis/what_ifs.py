"""Find the next gain: the cost of each kind of error, and steps not tried yet."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from receipt_ocr.analysis.comparisons import own_folds
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.scores import COUNTS
from receipt_ocr.analysis.word_errors import WordGroup, group_errors
from receipt_ocr.evaluation.cleval import PageScore, score_pages

CLEAR = 1.5
"""A group stands out when it misses this many times the share of words missed elsewhere."""

LEAST = 0.0001
"""Gains of less are not worth a line: a leaderboard does not show them."""

HARD_GROUPS = {"height": 0, "tilt": -1, "density": -1, "length": 0}
"""Grouping of words -> place of the group that is hardest to find."""


@dataclass(frozen=True)
class NextGain:
    """One way to a higher score."""

    kind: str
    """``cuts``, ``joins``, ``false``, ``missed``, or the grouping whose hardest group stands out:
    ``height``, ``tilt``, ``density`` or ``length``."""
    gain: float
    """Rise of the corpus H-mean out of fold, at most."""
    count: int
    """Words or detections that it is about."""
    of: int
    """Characters, cuts or joins; of missed words, how many words there are."""
    group: WordGroup | None = None
    elsewhere: float | None = None
    """Share of words missed outside the group."""


def list_untried(results: Results) -> list[str]:
    """Steps that an experiment leaves open: ``tuning``, ``folds`` and ``tta``."""
    untried = {
        "tuning": results.own.tuned is None,
        "folds": len(results.histories) == 1,
        "tta": not results.views,
    }
    return [name for name, is_open in untried.items() if is_open]


def list_next_gains(page_scores: pd.DataFrame, words: pd.DataFrame | None) -> list[NextGain]:
    """List possible gains, the largest first.

    Each gain is what the corpus H-mean of the out-of-fold pages would gain if that kind of error
    were gone and nothing else changed: an upper bound, since no setting mends one error alone.
    ``words`` are the outcomes of all words, None where they were not recorded.
    """
    own = _out_of_fold(page_scores)
    if own.empty:
        return []
    counts: list[Any] = [int(own[count].sum()) for count in COUNTS]
    total = PageScore(*counts)
    gains = list(_judge_counts(total, own))
    if words is not None and len(words):
        gains += _judge_words(total, _out_of_fold(words))
    worth = [one for one in gains if one.gain >= LEAST]
    return sorted(worth, key=lambda one: -one.gain)


def _out_of_fold(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the own folds out of fold; external members judged the same pages."""
    return own_folds(table[table["subset"] == "out_of_fold"])


def _gain(total: PageScore, **changes: int) -> float:
    """Gain of the corpus H-mean when some counts change."""
    changed = {name: getattr(total, name) + more for name, more in changes.items()}
    return score_pages([replace(total, **changed)]).corpus_hmean - score_pages([total]).corpus_hmean


def _judge_counts(total: PageScore, own: pd.DataFrame) -> Iterator[NextGain]:
    """Cuts, joins and false detections, each taken away for itself."""
    cuts, joins, false = total.recall_penalty, total.precision_penalty, total.false_positives
    split, merged, wrong = (int(own[name].sum()) for name in ("split", "merged", "false"))
    yield NextGain("cuts", _gain(total, recall_penalty=-cuts), split, cuts)
    yield NextGain("joins", _gain(total, precision_penalty=-joins), merged, joins)
    without = _gain(total, characters_detected=-false, false_positives=-false)
    yield NextGain("false", without, wrong, false)


def _judge_words(total: PageScore, words: pd.DataFrame) -> Iterator[NextGain]:
    """Missed words: of each group that stands out, and all of them."""
    true = words[words["is_true"]]
    missed = true[true["outcome"] == "missed"]
    if missed.empty:
        return
    for by, place in HARD_GROUPS.items():
        groups = group_errors(words, by)
        if len(groups) < 2:
            continue
        group = groups.pop(place)
        rest = sum(one.words for one in groups)
        elsewhere = sum(one.missed_share * one.words for one in groups) / rest
        if group.interval is not None and group.interval.low > CLEAR * elsewhere:
            lost = group.missed_characters
            gain = _gain(total, characters_matched=lost, characters_detected=lost)
            yield NextGain(by, gain, group.words, lost, group, elsewhere)
    lost = int(missed["characters"].sum())
    gain = _gain(total, characters_matched=lost, characters_detected=lost)
    yield NextGain("missed", gain, len(missed), len(true))
