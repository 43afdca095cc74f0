"""What an experiment has reached, as far as experiments are laid side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import Interval, bootstrap_mean, leaderboard_interval
from receipt_ocr.analysis.comparisons import ALL_FOLDS, own_folds, pool_scores
from receipt_ocr.analysis.tables import ENSEMBLE

__all__ = ["Experiment", "judge_gap", "stopped_early", "tabulate_experiments"]

Record = Mapping[str, Any]

SCORES = ("precision", "recall", "hmean")
OUT_OF_FOLD, HOLDOUT, TEST = "out_of_fold", "holdout", "test"
LEADERBOARD = "leaderboard"


@dataclass(frozen=True)
class Experiment:
    """An experiment, or one way to look at its pages (``name@augmentation``)."""

    name: str
    page_scores: pd.DataFrame
    """A row a member, subset and page."""
    histories: Mapping[str, pd.DataFrame | None]
    """Own fold that votes -> its training, a row an epoch; None where that is not known."""
    trainings: Mapping[str, Record | None]
    """Own fold that votes -> the record of its training; None where there is none."""
    submissions: Sequence[Record] = ()
    """Records of what was made to be submitted, the latest last."""
    leaderboard: Sequence[Record] = ()
    """Scores of those submissions, by a leaderboard or by the truth of the test pages."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """The post-processing and members that the scores are of, as the ensemble has written them."""

    def means(self, subset: str) -> dict[str, float]:
        """Page means of precision, recall and H-mean; NaN where nothing was scored.

        Out of fold those of all own folds, each page once, else the ensemble's.
        """
        own = self._rows(subset)
        return {name: float(own[name].mean()) if len(own) else np.nan for name in SCORES}

    def hmeans(self, subset: str) -> pd.Series:
        """Page -> H-mean, of the same pages and members as :meth:`means`."""
        return pool_scores(self.page_scores, subset, self._member(subset))

    @property
    def thresholds(self) -> str:
        """Where the post-processing comes from: ``recipe``, ``tuned`` or ``holdout``."""
        return str(self.chosen.get("source", "recipe"))

    @property
    def guests(self) -> list[str]:
        """Members of other experiments, whose out-of-fold pages are in no score here."""
        return [name for name in self.chosen.get("members", {}).get("names", []) if "/" in name]

    @property
    def submission(self) -> Record | None:
        """The latest submission of what the scores are of; None where there is none.

        One of other members, detectors, weights, mean or thresholds, or of a detector of all pages,
        is not.
        """
        return next((one for one in reversed(self.submissions) if self._is_of(one)), None)

    @property
    def score(self) -> Record | None:
        """What the leaderboard said of that submission; None where nothing is recorded."""
        own = self.submission
        return next(
            (
                record
                for record in self.leaderboard
                if own is not None
                and record["submission"] == own["submission"]
                and record["source"] == LEADERBOARD
            ),
            None,
        )

    def _is_of(self, submission: Record) -> bool:
        voting = self.chosen.get("members", {})
        votes = list(zip(voting.get("names", []), voting.get("weights", []), strict=True))
        sources = voting.get("sources", {})
        return (
            submission.get("kind", "ensemble") == "ensemble"
            and submission.get("postprocess") == self.chosen.get("postprocess")
            and [(one["name"], one.get("weight")) for one in submission["members"]] == votes
            and submission.get("sources", sources) == sources
            and submission.get("mean", voting.get("mean")) == voting.get("mean")
        )

    def _member(self, subset: str) -> str:
        return ALL_FOLDS if subset == OUT_OF_FOLD else ENSEMBLE

    def _rows(self, subset: str) -> pd.DataFrame:
        own = self.page_scores[self.page_scores["subset"] == subset]
        return own_folds(own) if subset == OUT_OF_FOLD else own[own["member"] == ENSEMBLE]


def judge_gap(experiment: Experiment, test_pages: int) -> tuple[float, Interval, str] | None:
    """Whether the leaderboard differs from the out-of-fold score by more than chance.

    Args:
        experiment: With a leaderboard record and out-of-fold scores.
        test_pages: How many pages the leaderboard has.

    Returns:
        The recorded gap (leaderboard minus the mean of the members' out-of-fold scores), the
        interval in which 95 % of the gaps lie if nothing but the choice of pages differs
        (:func:`leaderboard_interval`), and ``as expected``, ``higher than expected`` or ``lower
        than expected``. None where either score is missing, or there are fewer than two pages.
    """
    record, values = experiment.score, experiment.hmeans(OUT_OF_FOLD)
    if record is None or record.get("gap") is None or len(values) < 2 or test_pages < 1:
        return None
    expected = leaderboard_interval(values.to_numpy(float), test_pages)
    gap = float(record["gap"])
    chance = Interval(0.0, expected.low - expected.mean, expected.high - expected.mean)
    if gap < chance.low:
        return gap, chance, "lower than expected"
    return gap, chance, "higher than expected" if gap > chance.high else "as expected"


def tabulate_experiments(experiments: Sequence[Experiment], test_pages: int) -> pd.DataFrame:
    """Experiments side by side.

    Args:
        experiments: One or more.
        test_pages: How many pages the leaderboard has.

    Returns:
        Index: their names. Columns: ``folds``; ``parameters``, ``best_epoch``, ``seconds`` (of a
        fold) and ``checkpoint_bytes``, each the mean over the folds that have it;
        ``out_of_fold_precision`` and so on for recall and hmean, and for ``holdout``, ``test``
        and ``leaderboard``; ``out_of_fold_low``, ``out_of_fold_high`` (95 % interval of the
        H-mean); ``gap``, ``gap_low``, ``gap_high``, ``gap_verdict`` of :func:`judge_gap`. NaN or
        None where there is nothing.
    """
    return pd.DataFrame.from_dict(
        {one.name: _describe(one, test_pages) for one in experiments}, orient="index"
    )


def stopped_early(record: Record | None) -> bool:
    """Whether a training ended because its patience was spent; False where that is not known."""
    return record is not None and "patience" in str(record.get("stopped_by"))


def _describe(one: Experiment, test_pages: int) -> dict[str, Any]:
    row: dict[str, Any] = {"folds": len(one.histories), **_describe_training(one)}
    for subset in (OUT_OF_FOLD, HOLDOUT, TEST):
        row |= {f"{subset}_{name}": value for name, value in one.means(subset).items()}
    record = one.score
    for name in SCORES:
        value = None if record is None else record.get(name)
        row[f"leaderboard_{name}"] = np.nan if value is None else float(value)
    values = one.hmeans(OUT_OF_FOLD).to_numpy(float)
    found = bootstrap_mean(values) if len(values) > 1 else Interval(np.nan, np.nan, np.nan)
    row |= {"out_of_fold_low": found.low, "out_of_fold_high": found.high}
    judged = judge_gap(one, test_pages)
    nothing = (np.nan, Interval(np.nan, np.nan, np.nan), None)
    gap, chance, verdict = nothing if judged is None else judged
    return row | {
        "gap": gap,
        "gap_low": chance.low,
        "gap_high": chance.high,
        "gap_verdict": verdict,
    }


def _describe_training(one: Experiment) -> dict[str, float]:
    records = [record for record in one.trainings.values() if record is not None]
    sizes = [sum(record["parameters"].values()) for record in records]
    timed = [record["seconds"] for record in records if record["seconds"] is not None]
    peaks = [_peak(history) for history in one.histories.values() if history is not None]
    bytes_ = [record["checkpoint_bytes"] for record in records]
    return {
        "parameters": _mean(sizes),
        "best_epoch": _mean(peaks),
        "seconds": _mean(timed),
        "checkpoint_bytes": _mean(bytes_),
    }


def _peak(history: pd.DataFrame) -> float:
    """The first of the epochs with the highest H-mean, as training has it."""
    return float(history["epoch"].iloc[int(history["hmean"].to_numpy(float).argmax())])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else np.nan
