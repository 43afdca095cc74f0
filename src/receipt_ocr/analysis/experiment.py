"""Results of one experiment, and its line in a table of several."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import Interval, leaderboard_interval
from receipt_ocr.analysis.comparisons import ALL_FOLDS, ENSEMBLE, own_folds, pool_scores
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    SubmissionRecord,
    TrainingRecord,
    TunedPostprocess,
    Voting,
)

OUT_OF_FOLD, HOLDOUT, TEST = "out_of_fold", "holdout", "test"
LEADERBOARD = "leaderboard"


class Scores(NamedTuple):
    """Page means of a subset; NaN where nothing was scored."""

    precision: float
    recall: float
    hmean: float


@dataclass(frozen=True)
class Experiment:
    """An experiment under one TTA view (``name@view``)."""

    name: str
    page_scores: pd.DataFrame
    """A row a member, subset and page."""
    histories: Mapping[str, pd.DataFrame | None]
    """Own fold that votes -> its training, a row an epoch; None where that is not known."""
    trainings: Mapping[str, TrainingRecord | None]
    """Own fold that votes -> the record of its training; None where there is none."""
    chosen: ChosenPostprocess
    """Post-processing and members that the scores are of."""
    tuned: TunedPostprocess | None = None
    """Result of tuning out of fold; None where it has not run."""
    submissions: Sequence[SubmissionRecord] = ()
    """Its submissions, the latest last."""
    leaderboard: Sequence[LeaderboardScore] = ()
    """Scores of those submissions, by a leaderboard or by the truth of the test pages."""

    @property
    def voting(self) -> Voting:
        """Members and how they vote.

        Raises:
            ValueError: If the post-processing is that of a final fit, where no members vote.
        """
        if self.chosen.members is None:
            raise ValueError(f"chosen_postprocess of {self.name} names no members that vote")
        return self.chosen.members

    @property
    def thresholds(self) -> str:
        """Source of the post-processing: ``recipe``, ``tuned`` or ``holdout``."""
        return self.chosen.source

    @property
    def external_members(self) -> list[str]:
        """Members of other experiments, whose out-of-fold pages are in no score here."""
        return [name for name in self.voting.names if Member.parse(name).is_external]

    @property
    def cross_fitted_hmean(self) -> float | None:
        """The honest estimate of the tuned thresholds in use: each fold at those of the others.

        None where other thresholds are in use, or one fold was tuned alone.
        """
        in_use = self.tuned if self.thresholds == "tuned" else None
        return None if in_use is None else in_use.cross_fitted_hmean

    def hmeans(self, subset: str) -> pd.Series:
        """Page -> H-mean; out of fold of all own folds, each page once, else of the ensemble."""
        member = ALL_FOLDS if subset == OUT_OF_FOLD else ENSEMBLE
        return pool_scores(self.page_scores, subset, member)

    def judged_pages(self, subset: str) -> pd.DataFrame:
        """Rows of the page scores that :meth:`hmeans` is of."""
        own = self.page_scores[self.page_scores["subset"] == subset]
        return own_folds(own) if subset == OUT_OF_FOLD else own[own["member"] == ENSEMBLE]

    def means(self, subset: str) -> Scores:
        """Page means over these rows."""
        own = self.judged_pages(subset)
        return Scores(*(float(own[name].mean()) for name in Scores._fields))

    def cost(self, name: str) -> float | None:
        """Mean of a figure of the training records, such as ``seconds``, over those that have it.

        A figure with several parts, such as ``parameters``, counts as their sum.
        """
        values = [getattr(record, name) for record in self.trainings.values() if record]
        return _mean([sum(v.values()) if isinstance(v, Mapping) else v for v in values])

    @property
    def inference_seconds(self) -> float | None:
        """Mean time of a page; None under a TTA view, which shows the network each page again."""
        is_plain = ExperimentId.parse(self.name).is_plain  # the view that trainings time
        return self.cost("inference_seconds_per_page") if is_plain else None

    @property
    def best_epoch(self) -> float | None:
        """Mean over the folds of the first epoch with the highest H-mean."""
        return _mean([find_peak(history) for history in self.histories.values()])

    @property
    def submission(self) -> SubmissionRecord | None:
        """The latest submission of these very members, weights, mean and thresholds, or None."""
        return next((one for one in reversed(self.submissions) if self._made(one)), None)

    @property
    def score(self) -> LeaderboardScore | None:
        """The leaderboard's score of that submission; None where nothing is recorded."""
        own = self.submission
        told = (one for one in self.leaderboard if one.source == LEADERBOARD)
        return next((one for one in told if own and one.submission == own.submission), None)

    def _made(self, submission: SubmissionRecord) -> bool:
        voting = self.voting
        return (
            submission.kind == "ensemble"
            and submission.postprocess == self.chosen.postprocess
            and tuple(one.name for one in submission.members) == voting.names
            and tuple(one.weight for one in submission.members) == voting.weights
            and (submission.sources or voting.sources) == voting.sources
            and (submission.mean or voting.mean) == voting.mean
        )


@dataclass(frozen=True)
class Gap:
    """A leaderboard's score of a submission against what was known of it beforehand."""

    told: LeaderboardScore
    chance: Interval | None
    """Range of 95 % of the gaps if nothing but the choice of pages differs."""
    verdict: str | None
    """``as expected``, ``higher than expected``, ``lower than expected``, ``without validation`` or
    ``of an earlier submission``; None where there are too few pages to say."""

    @property
    def known(self) -> float | None:
        """Mean of the members' out-of-fold scores."""
        return None if self.told.gap is None else self.told.hmean - self.told.gap


def list_gaps(experiments: Sequence[Experiment], test_pages: int) -> Iterator[Gap]:
    """All leaderboard scores of some experiments, on a leaderboard of ``test_pages`` pages."""
    for one in experiments:
        for record in one.leaderboard:
            if record.source != LEADERBOARD:
                continue
            chance, verdict = None, None
            if record.gap is None:
                verdict = "without validation"
            elif record is not one.score:
                verdict = "of an earlier submission"
            elif judged := judge_gap(one, test_pages):
                chance, verdict = judged
            yield Gap(record, chance, verdict)


def judge_gap(experiment: Experiment, test_pages: int) -> tuple[Interval, str] | None:
    """Judge whether the leaderboard differs from the out-of-fold score by more than chance.

    Returns:
        ``chance`` and ``verdict`` of :class:`Gap`; None where either score is missing, or there
        are fewer than two pages.
    """
    record, values = experiment.score, experiment.hmeans(OUT_OF_FOLD)
    if record is None or record.gap is None or len(values) < 2 or test_pages < 1:
        return None
    expected = leaderboard_interval(values.to_numpy(float), test_pages)
    chance = Interval(0.0, expected.low - expected.mean, expected.high - expected.mean)
    if record.gap < chance.low:
        return chance, "lower than expected"
    return chance, "higher than expected" if record.gap > chance.high else "as expected"


def stopped_early(record: TrainingRecord | None) -> bool:
    """Tell whether patience ended a training; False where that is not known."""
    return record is not None and "patience" in record.stopped_by


def find_peak(history: pd.DataFrame | None) -> float | None:
    """The first of the epochs with the highest H-mean, as training has it; None where unknown."""
    if history is None:
        return None
    return float(history["epoch"].iloc[int(history["hmean"].to_numpy(float).argmax())])


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
