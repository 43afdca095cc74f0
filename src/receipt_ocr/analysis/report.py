"""Everything that a report says, in numbers and names; sentences are the templates' part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from receipt_ocr.analysis import (
    ensemble,
    experiment,
    fitting,
    missing,
    recipes,
    recommendation,
    tables,
    what_ifs,
    word_errors,
)
from receipt_ocr.analysis.bootstrap import Interval, PairedComparison, leaderboard_interval
from receipt_ocr.analysis.comparisons import ENSEMBLE, own_folds
from receipt_ocr.analysis.ensemble import Balance, EnsembleScore, FoldGap, Step
from receipt_ocr.analysis.missing import Missing, WritingRun
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tuning import TuningStatement, state_tuning

__all__ = ["Report", "SubsetData", "make_report"]

FEW_PAGES = 30
"""With fewer pages a bootstrap interval comes out clearly too narrow."""


@dataclass(frozen=True)
class SubsetData:
    """Pages and words of a subset."""

    subset: str
    pages: int
    words: int | None
    """None where the truth is withheld."""
    blank: int
    """Pages that are known to have no words."""
    rejected_pages: int
    rejected_words: int


@dataclass(frozen=True)
class Comparison:
    """Experiments beside each other."""

    recommendation: recommendation.Recommendation | None
    """None where nothing was scored."""
    experiments: Sequence[experiment.Summary]
    gaps: Sequence[experiment.Gap]
    differences: recipes.Differences | None
    """None where there are not two experiments that are configured."""


@dataclass(frozen=True)
class Scores:
    """Scores of the reported experiment, and which to trust."""

    ensemble: EnsembleScore | None
    """None where no truth is known to judge it by."""
    has_few_pages: bool
    """The pages that judge the ensemble are so few that every interval is too narrow."""
    trusts_holdout: bool
    """There is a holdout that chose nothing; else the out-of-fold score is trusted."""
    trusted_hmean: float
    fold_gap: FoldGap | None
    folds: pd.DataFrame
    """Result of ``tabulate_folds``."""
    members: Sequence[tables.MemberScore]
    expected: Interval | None
    """Expected range of a single fold's score on the leaderboard."""
    balance: Sequence[Balance]
    steps: Sequence[Step]
    uncompared_views: Sequence[str]
    """TTA views that differ in more than the view."""


@dataclass(frozen=True)
class Learning:
    """Course of the trainings."""

    members: Sequence[str]
    """Members with a known history."""
    epochs: Sequence[fitting.Epoch]
    curves: Sequence[fitting.Curve]
    new_pages: tuple[str, PairedComparison] | None
    """A subset that chose nothing, and single folds on it against their out-of-fold pages."""


@dataclass(frozen=True)
class Errors:
    """Errors, and ways to fewer of them."""

    next_gains: Sequence[what_ifs.NextGain]
    prospects: what_ifs.Prospects
    words: word_errors.WordLosses | None
    """None where single words were not recorded."""
    worst_pages: pd.DataFrame
    """Rows of ``tabulate_pages``."""
    blank_pages: int
    """Pages without a true word, of those that judge the ensemble."""


@dataclass(frozen=True)
class Background:
    """Data, settings and sources."""

    data: Sequence[SubsetData]
    rejected: Mapping[str, int]
    """Reason -> how many pages and words were rejected for it, the most frequent first."""
    missing: Missing
    settings: Mapping[str, str]
    commands: Sequence[str]
    runs: Sequence[WritingRun]

    @property
    def rejects_test_pages(self) -> bool:
        """A page that the leaderboard counts was rejected."""
        return any(one.subset == "test" and one.rejected_pages for one in self.data)


@dataclass(frozen=True)
class Report:
    """The one context of the report's templates."""

    experiment: str
    dataset: str
    """Name of the place of the receipts."""
    command: str
    """Start of the command that runs a pipeline."""
    voters: Sequence[str]
    own_folds: Sequence[int]
    """Numbers of the experiment's own folds among the voters."""
    test_pages: int
    """Number of pages of a leaderboard."""
    pictures: Mapping[str, str]
    """Name of a picture that was drawn -> its path, relative to the report."""
    comparison: Comparison
    scores: Scores
    learning: Learning
    tuning: TuningStatement
    errors: Errors
    about: Background
    few_pages: int = FEW_PAGES


def make_report(results: Results, pictures: Mapping[str, str]) -> Report:
    """Compute everything that a report says.

    Args:
        results: What it is about.
        pictures: Name of a picture that was drawn -> its path, relative to the report.
    """
    voted = ensemble.score_ensemble(results)
    return Report(
        experiment=results.own.name,
        dataset=results.dataset,
        command=results.provenance.command,
        voters=list(results.histories),
        own_folds=results.folds,
        test_pages=results.test_pages,
        pictures=pictures,
        comparison=_compare(results),
        scores=_score(results, voted),
        learning=_state_learning(results),
        tuning=state_tuning(results),
        errors=_state_errors(results, voted),
        about=_describe(results),
    )


def _compare(results: Results) -> Comparison:
    experiments = results.compared.experiments
    return Comparison(
        recommendation=recommendation.recommend(experiments, results.test_pages),
        experiments=[experiment.summarise(one) for one in experiments],
        gaps=list(experiment.list_gaps(experiments, results.test_pages)),
        differences=recipes.state_differences(results),
    )


def _score(results: Results, voted: EnsembleScore | None) -> Scores:
    own = results.own
    folds = tables.tabulate_folds(own.page_scores, results.histories)
    trusts_holdout = results.has_truth("holdout") and own.thresholds != "holdout"
    trusted = (
        results.hmeans("holdout").mean()
        if trusts_holdout
        else folds["hmean"].to_dict()["mean of folds"]
    )
    values = own.hmeans("out_of_fold").to_numpy(float)
    is_foretold = results.test_pages > 0 and len(values) > 1
    return Scores(
        ensemble=voted,
        has_few_pages=voted is not None and voted.pages < FEW_PAGES,
        trusts_holdout=trusts_holdout,
        trusted_hmean=float(trusted),
        fold_gap=ensemble.state_fold_gap(folds, None if voted is None else voted.subset),
        folds=folds,
        members=tables.list_members(own.page_scores),
        expected=leaderboard_interval(values, results.test_pages) if is_foretold else None,
        balance=list(ensemble.list_balance(own.page_scores)),
        steps=list(ensemble.list_steps(results, voted)),
        uncompared_views=ensemble.list_uncompared(results),
    )


def _state_learning(results: Results) -> Learning:
    histories, own = results.histories, results.own
    return Learning(
        members=[name for name, history in histories.items() if history is not None],
        epochs=list(fitting.list_epochs(histories, own.trainings)),
        curves=fitting.judge_curves(histories),
        new_pages=fitting.compare_new_pages(own.page_scores, own.thresholds),
    )


def _state_errors(results: Results, voted: EnsembleScore | None) -> Errors:
    scores, words = results.own.page_scores, results.tables.word_outcomes
    own = None if words is None else own_folds(words[words["subset"] == "out_of_fold"])
    subset = "" if voted is None else voted.subset
    judged = scores[(scores["member"] == ENSEMBLE) & (scores["subset"] == subset)]
    return Errors(
        next_gains=what_ifs.list_next_gains(scores, words),
        prospects=what_ifs.state_prospects(results),
        words=None if own is None or own.empty else word_errors.state_losses(own),
        worst_pages=tables.list_worst_pages(scores, subset),
        blank_pages=int((judged["characters_truth"] == 0).sum()),
    )


def _describe(results: Results) -> Background:
    pages, rejected = results.tables.pages, results.tables.rejected
    reasons = rejected["reason"].value_counts()
    return Background(
        data=[_describe_subset(name, pages, rejected) for name in pages["subset"].unique()],
        rejected={str(reason): int(count) for reason, count in reasons.items()},
        missing=missing.list_missing(results),
        settings=recipes.list_settings(results),
        commands=recipes.list_commands(results),
        runs=list(missing.list_runs(results)),
    )


def _describe_subset(subset: str, pages: pd.DataFrame, rejected: pd.DataFrame) -> SubsetData:
    own, faults = pages[pages["subset"] == subset], rejected[rejected["subset"] == subset]
    is_page = faults["word"] == ""
    return SubsetData(
        subset=subset,
        pages=len(own),
        words=int(own["word_count"].sum()) if own["has_truth"].any() else None,
        blank=int((own["has_truth"] & (own["word_count"] == 0)).sum()),
        rejected_pages=int(is_page.sum()),
        rejected_words=int((~is_page).sum()),
    )
