"""Recommend the experiment to submit, with the reason and the certainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from receipt_ocr.analysis.bootstrap import Interval, PairedComparison, leaderboard_interval
from receipt_ocr.analysis.comparisons import compare_common
from receipt_ocr.analysis.experiment import HOLDOUT, OUT_OF_FOLD, Experiment


@dataclass(frozen=True)
class Rival:
    """Another experiment beside the recommended one."""

    name: str
    comparison: PairedComparison | None
    """The recommended one minus this one, on the pages that both were judged on; None where those
    are fewer than two."""
    thresholds: str
    """Source of its post-processing."""


@dataclass(frozen=True)
class Recommendation:
    """The experiment to submit, and its rivals."""

    experiment: str
    submission: str | None
    """Id of the submission of what was scored; None where none was made."""
    subset: str
    """Pages that decided: ``holdout`` or ``out_of_fold``."""
    forced_by: str | None
    """The experiment without an untouched holdout that made the choice one out of fold, where the
    recommended one has a holdout; else None."""
    hmean: float
    """Page mean on them."""
    pages: int
    expected: Interval | None
    """Range of 95 % of leaderboard scores; None for fewer than two pages."""
    thresholds: str
    """Source of its post-processing."""
    rivals: Sequence[Rival]
    """All others that were scored, the closest first."""

    @property
    def indistinct(self) -> list[str]:
        """Names of those that cannot be told apart from it."""
        return self._judged("cannot be told apart")

    @property
    def beaten_by(self) -> list[str]:
        """Names of those that are better on the pages that both were judged on.

        They were judged on fewer pages, or they would have been recommended.
        """
        return self._judged("worse")

    @property
    def is_clear(self) -> bool:
        """It is better than every rival by more than chance."""
        compared = [one.comparison for one in self.rivals if one.comparison]
        return bool(compared) and all(one.verdict == "better" for one in compared)

    @property
    def mixes_thresholds(self) -> bool:
        """Out-of-fold scores at tuned thresholds are compared with others."""
        sources = {self.thresholds, *(one.thresholds for one in self.rivals)}
        return self.subset == OUT_OF_FOLD and "tuned" in sources and len(sources) > 1

    @property
    def uncompared(self) -> list[str]:
        """Names of those that were not judged on two of its pages."""
        return [one.name for one in self.rivals if one.comparison is None]

    def _judged(self, verdict: str) -> list[str]:
        return [
            one.name for one in self.rivals if one.comparison and one.comparison.verdict == verdict
        ]


def recommend(experiments: Sequence[Experiment], test_pages: int) -> Recommendation | None:
    """The experiment with the highest score on pages that the test truth plays no part in.

    That is the ensemble's score on the holdout where every experiment has one that chose neither
    epoch nor threshold, else that of all folds out of fold. Recommended is one of those with the
    most pages: the pages of a single fold may be easier. Test pages are not looked at, also where
    their truth is known: whoever chooses by them has no honest score left. None where nothing was
    scored.
    """
    subset = choose_judge(experiments)
    scored = [one for one in experiments if len(one.hmeans(subset))]
    if not scored:
        return None
    best = _find_best(scored, subset)
    values = best.hmeans(subset)
    expected = None
    if len(values) > 1 and test_pages:
        expected = leaderboard_interval(values.to_numpy(float), test_pages)
    rivals = [
        Rival(one.name, compare_common(values, one.hmeans(subset)), one.thresholds)
        for one in scored
        if one is not best
    ]
    return Recommendation(
        experiment=best.name,
        submission=None if best.submission is None else best.submission.submission,
        subset=subset,
        forced_by=_find_cause(experiments, best) if subset == OUT_OF_FOLD else None,
        hmean=float(values.mean()),
        pages=len(values),
        expected=expected,
        thresholds=best.thresholds,
        rivals=sorted(rivals, key=_closeness),
    )


def choose_judge(experiments: Sequence[Experiment]) -> str:
    """``holdout`` where every experiment was scored on one that chose nothing."""
    is_untouched = all(_has_untouched_holdout(one) for one in experiments)
    return HOLDOUT if is_untouched and experiments else OUT_OF_FOLD


def _has_untouched_holdout(one: Experiment) -> bool:
    return len(one.hmeans(HOLDOUT)) > 0 and one.thresholds != HOLDOUT


def _find_cause(experiments: Sequence[Experiment], best: Experiment) -> str | None:
    if not len(best.hmeans(HOLDOUT)):
        return None
    return next((one.name for one in experiments if not _has_untouched_holdout(one)), None)


def _find_best(scored: Sequence[Experiment], subset: str) -> Experiment:
    """The best mean, among experiments scored on the most pages, on their common pages."""
    hmeans = {one.name: one.hmeans(subset) for one in scored}
    most = max(len(own) for own in hmeans.values())
    whole = [one for one in scored if len(hmeans[one.name]) == most]
    pages = set.intersection(*(set(hmeans[one.name].index) for one in whole))
    common = pages if len(pages) > 1 else None

    def mean(one: Experiment) -> float:
        own = hmeans[one.name]
        return float((own if common is None else own[own.index.isin(common)]).mean())

    return max(whole, key=mean)


def _closeness(rival: Rival) -> float:
    return np.inf if rival.comparison is None else rival.comparison.difference
