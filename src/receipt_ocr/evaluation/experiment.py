"""What an experiment has reached, as far as experiments are laid side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.evaluation.comparisons import ALL_FOLDS, pool_scores
from receipt_ocr.evaluation.report_tables import ENSEMBLE
from receipt_ocr.evaluation.uncertainty import Interval, bootstrap_mean, leaderboard_interval

__all__ = ["Experiment", "judge_gap", "tabulate_experiments"]

Record = Mapping[str, Any]

SCORES = ("precision", "recall", "hmean")
OUT_OF_FOLD, HOLDOUT, TEST = "out_of_fold", "holdout", "test"


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
    runs: Mapping[str, str | None]
    """Own fold that votes -> id of the MLflow run that trained it; None where that is unknown."""
    submissions: Sequence[Record] = ()
    """Records of what was made to be submitted, the latest last."""
    leaderboard: Sequence[Record] = ()
    """Scores of those submissions, by a leaderboard or by the truth of the test pages."""
    thresholds: str = "recipe"
    """Where the post-processing that the scores are of comes from."""

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
    def best_score(self) -> Record | None:
        """The leaderboard's record with the highest H-mean; None without any."""
        told = [record for record in self.leaderboard if record["source"] == "leaderboard"]
        return max(told, key=lambda record: float(record["hmean"]), default=None)

    def _member(self, subset: str) -> str:
        return ALL_FOLDS if subset == OUT_OF_FOLD else ENSEMBLE

    def _rows(self, subset: str) -> pd.DataFrame:
        own = self.page_scores[self.page_scores["subset"] == subset]
        if subset == OUT_OF_FOLD:
            return own[own["member"].str.fullmatch(r"fold_\d+")]
        return own[own["member"] == ENSEMBLE]


def judge_gap(experiment: Experiment, test_pages: int) -> tuple[float, Interval, str] | None:
    """Whether the leaderboard differs from the out-of-fold score by more than chance.

    Args:
        experiment: With a leaderboard record and out-of-fold scores.
        test_pages: How many pages the leaderboard has.

    Returns:
        The gap (leaderboard minus out of fold), the interval in which 95 % of the gaps lie if
        nothing but the choice of pages differs (:func:`leaderboard_interval`), and ``as
        expected``, ``higher than expected`` or ``lower than expected``. None where either score
        is missing, or there are fewer than two pages.
    """
    record, values = experiment.best_score, experiment.hmeans(OUT_OF_FOLD)
    if record is None or len(values) < 2 or test_pages < 1:
        return None
    expected = leaderboard_interval(values.to_numpy(float), test_pages)
    gap = float(record["hmean"]) - expected.mean
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


def _describe(one: Experiment, test_pages: int) -> dict[str, Any]:
    row: dict[str, Any] = {"folds": len(one.histories), **_describe_training(one)}
    for subset in (OUT_OF_FOLD, HOLDOUT, TEST):
        row |= {f"{subset}_{name}": value for name, value in one.means(subset).items()}
    record = one.best_score
    for name in SCORES:
        value = None if record is None else record[name]
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
