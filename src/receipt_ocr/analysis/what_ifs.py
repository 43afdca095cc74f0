"""Where the next gain is likely: what each kind of error costs, and what would lower it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from receipt_ocr.analysis.comparisons import own_folds
from receipt_ocr.analysis.scores import COUNTS
from receipt_ocr.analysis.word_errors import GROUPS, group_errors
from receipt_ocr.evaluation.cleval import PageScore, score_pages
from receipt_ocr.report.language import say

__all__ = ["NextGain", "list_next_gains"]

CLEAR = 1.5
"""How many times the share of missed words elsewhere makes a group stand out."""

LEAST = 0.0001
"""Gains of less are not worth a line: a leaderboard does not show them."""


@dataclass(frozen=True)
class NextGain:
    """One way to a higher score."""

    gain: float
    """By how much the corpus H-mean out of fold would rise, at most."""
    reason: str
    """What is lost now, in figures."""
    advice: str
    """What to try, naming the setting."""


def list_next_gains(page_scores: pd.DataFrame, words: pd.DataFrame | None) -> list[NextGain]:
    """What to try next, the largest possible gain first.

    Each gain is what the corpus H-mean of the out-of-fold pages would gain if that kind of error
    were gone and nothing else changed: an upper bound, since no setting mends one error alone.

    Args:
        page_scores: A row a member, subset and page.
        words: What became of every word; None where that was not recorded.
    """
    own = _own_folds(page_scores)
    if own.empty:
        return []
    counts: list[Any] = [int(own[count].sum()) for count in COUNTS]
    total = PageScore(*counts)
    gains = list(_judge_counts(total, own))
    if words is not None and len(words):
        gains += _judge_words(total, _own_folds(words))
    worth = [one for one in gains if one.gain >= LEAST]
    return sorted(worth, key=lambda one: -one.gain)


def _own_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Rows out of fold, without those of other experiments' folds: they are of the same pages."""
    return own_folds(table[table["subset"] == "out_of_fold"])


def _corpus(total: PageScore) -> float:
    return score_pages([total]).corpus_hmean


def _judge_counts(total: PageScore, own: pd.DataFrame) -> Iterator[NextGain]:
    """Cuts, joins and false detections, each taken away for itself."""
    now = _corpus(total)
    without_cuts = replace(total, recall_penalty=0)
    yield NextGain(
        _corpus(without_cuts) - now,
        say(
            "{count} words were found in pieces ({characters} cuts)",
            count=int(own["split"].sum()),
            characters=total.recall_penalty,
        ),
        say("a lower postprocess.thresh, or a larger frame, joins the pieces"),
    )
    without_joins = replace(total, precision_penalty=0)
    yield NextGain(
        _corpus(without_joins) - now,
        say(
            "{count} detections join two words or more ({characters} joins)",
            count=int(own["merged"].sum()),
            characters=total.precision_penalty,
        ),
        say("a higher postprocess.thresh, a smaller unclip_ratio, or a larger frame parts them"),
    )
    without_false = replace(
        total,
        characters_detected=total.characters_detected - total.false_positives,
        false_positives=0,
    )
    yield NextGain(
        _corpus(without_false) - now,
        say(
            "{count} detections match no word ({characters} characters)",
            count=int(own["false"].sum()),
            characters=total.false_positives,
        ),
        say("a higher postprocess.box_thresh drops them; look at some in the pictures first"),
    )


def _judge_words(total: PageScore, words: pd.DataFrame) -> Iterator[NextGain]:
    """Missed words: those of a group that stands out, else all of them."""
    true = words[words["is_true"]]
    missed = true[true["outcome"] == "missed"]
    if missed.empty:
        return
    tried = (
        ("height", 0, say("small text"), say("a larger frame (frame.sizes) or crops at that size")),
        ("tilt", -1, say("tilted text"), say("more augmentation.rotation")),
        (
            "density",
            -1,
            say("dense pages"),
            say("a larger frame; see that max_candidates suffices"),
        ),
        ("length", 0, say("short words"), say("a lower postprocess.min_size and box_thresh")),
    )
    for by, place, name, advice in tried:
        groups = group_errors(words, by)
        if len(groups) < 2:
            continue
        row = groups.iloc[place]
        others = groups.drop(groups.index[place])
        elsewhere = (others["missed_share"] * others["words"]).sum() / others["words"].sum()
        if row["low"] > CLEAR * elsewhere:
            yield NextGain(
                _found_again(total, int(row["missed_characters"])),
                say(
                    "{name} ({what}: {group}): {share:.1%} of the words are missed, "
                    "elsewhere {other:.1%}",
                    name=name,
                    what=say(GROUPS[by]),
                    group=row["group"],
                    share=row["missed_share"],
                    other=elsewhere,
                ),
                advice,
            )
    yield NextGain(
        _found_again(total, int(missed["characters"].sum())),
        say("{count} of {all} words are missed altogether", count=len(missed), all=len(true)),
        say("look at them in the pictures; a lower box_thresh, another encoder"),
    )


def _found_again(total: PageScore, characters: int) -> float:
    found = replace(
        total,
        characters_matched=total.characters_matched + characters,
        characters_detected=total.characters_detected + characters,
    )
    return _corpus(found) - _corpus(total)
