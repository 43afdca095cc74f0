"""Which experiment to submit, why, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.evaluation.experiment import HOLDOUT, OUT_OF_FOLD, Experiment
from receipt_ocr.evaluation.uncertainty import (
    Interval,
    PairedComparison,
    compare_paired,
    leaderboard_interval,
)

__all__ = ["Recommendation", "Rival", "recommend"]


@dataclass(frozen=True)
class Rival:
    """Another experiment beside the recommended one."""

    name: str
    comparison: PairedComparison
    """The recommended one minus this one, on the pages that both were judged on."""


@dataclass(frozen=True)
class Recommendation:
    """What to submit."""

    experiment: str
    submission: str | None
    """Id of its latest submission; None where none was made."""
    subset: str
    """Of whose pages the choice was made: ``holdout`` or ``out_of_fold``."""
    hmean: float
    """Page mean on them."""
    pages: int
    expected: Interval | None
    """Where 95 % of leaderboard scores would lie; None for fewer than two pages."""
    rivals: Sequence[Rival]
    """All others that were judged on at least two of the same pages, the closest first."""

    @property
    def indistinct(self) -> list[str]:
        """Names of those that it is not clearly better than."""
        return [one.name for one in self.rivals if one.comparison.verdict != "better"]


def recommend(experiments: Sequence[Experiment], test_pages: int) -> Recommendation | None:
    """The experiment with the highest score on pages that the test truth plays no part in.

    That is the ensemble's score on the holdout where every experiment has one that chose nothing,
    else that of all folds out of fold; of pages that all were judged on, since one fold's pages
    may be easier than another's, as far as there are two of those. Test pages are not looked at,
    also where their truth is known: whoever chooses by them has no honest score left.

    Args:
        experiments: To choose from.
        test_pages: How many pages the leaderboard has.

    Returns:
        None where nothing was scored.
    """
    subset = choose_judge(experiments)
    scored = [one for one in experiments if len(one.hmeans(subset))]
    if not scored:
        return None
    best = _find_best({one.name: one.hmeans(subset) for one in scored}, scored)
    values = best.hmeans(subset)
    expected = None
    if len(values) > 1 and test_pages:
        expected = leaderboard_interval(values.to_numpy(float), test_pages)
    rivals = [
        Rival(one.name, found)
        for one in scored
        if one is not best and (found := _compare(best, one, subset)) is not None
    ]
    return Recommendation(
        experiment=best.name,
        submission=_latest(best.submissions),
        subset=subset,
        hmean=float(values.mean()),
        pages=len(values),
        expected=expected,
        rivals=sorted(rivals, key=lambda one: one.comparison.difference),
    )


def choose_judge(experiments: Sequence[Experiment]) -> str:
    """``holdout`` where every experiment was scored on one that chose nothing."""
    is_untouched = all(
        len(one.hmeans(HOLDOUT)) and one.thresholds != "holdout" for one in experiments
    )
    return HOLDOUT if is_untouched and experiments else OUT_OF_FOLD


def _find_best(hmeans: Mapping[str, pd.Series], scored: Sequence[Experiment]) -> Experiment:
    pages = set.intersection(*(set(own.index) for own in hmeans.values()))
    is_common = {name: own.index.isin(pages) | (len(pages) < 2) for name, own in hmeans.items()}
    return max(scored, key=lambda one: float(hmeans[one.name][is_common[one.name]].mean()))


def _compare(best: Experiment, other: Experiment, subset: str) -> PairedComparison | None:
    first, second = best.hmeans(subset), other.hmeans(subset)
    common = first.index.intersection(second.index).sort_values()
    if len(common) < 2:
        return None
    return compare_paired(
        np.asarray(first.loc[common], dtype=float), np.asarray(second.loc[common], dtype=float)
    )


def _latest(submissions: Sequence[Mapping[str, Any]]) -> str | None:
    return str(submissions[-1]["submission"]) if submissions else None
