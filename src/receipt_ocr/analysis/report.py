"""Everything that a report says, in numbers and names; sentences are the templates' part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from receipt_ocr.analysis import (
    ensemble,
    experiment,
    fitting,
    recipes,
    tables,
    tuning,
    what_ifs,
    word_errors,
)
from receipt_ocr.analysis.bootstrap import Interval, PairedComparison, leaderboard_interval
from receipt_ocr.analysis.comparisons import ENSEMBLE, own_folds
from receipt_ocr.analysis.ensemble import EnsembleScore, Step
from receipt_ocr.analysis.recommendation import Recommendation, recommend
from receipt_ocr.analysis.results import Results

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
class Report:
    """The one context of the report's templates: the sources, and what follows from them."""

    results: Results
    pictures: Mapping[str, str]
    """Name of a picture that was drawn -> its path, relative to the report."""
    recommendation: Recommendation | None
    gaps: Sequence[experiment.Gap]
    """A row a score on the leaderboard, of all experiments that are compared."""
    differences: Mapping[str, Sequence[str | None]] | None
    """Setting that experiments differ in -> its value in each; None for fewer than two."""
    ensemble: EnsembleScore | None
    """None where no truth is known to judge it by."""
    trusts_holdout: bool
    """There is a holdout that chose nothing; else the out-of-fold score is trusted."""
    trusted_hmean: float
    folds: pd.DataFrame
    """Result of ``tabulate_folds``."""
    fold_gap: float | None
    """Mean over the folds of the H-mean on the ensemble's pages minus that out of fold."""
    members: Mapping[str, Mapping[str, tables.SubsetScore]]
    """Member, or all own folds together -> subset -> its score."""
    expected: Interval | None
    """Expected range of a single fold's score on the leaderboard."""
    balance: Mapping[str, PairedComparison]
    """Subset -> precision minus recall."""
    steps: Sequence[Step]
    uncompared_views: Sequence[str]
    """TTA views that differ in more than the view."""
    epochs: Sequence[fitting.Epoch]
    curves: Sequence[fitting.Curve]
    own_curves: Sequence[fitting.Curve]
    """Curves of the experiment's own folds."""
    new_pages: tuple[str, PairedComparison] | None
    """A subset that chose nothing, and single folds on it against their out-of-fold pages."""
    optimism: float | None
    """Excess of the tuned score because its own pages chose the settings; None where unknown."""
    edges: Mapping[str, str]
    """Result of :func:`receipt_ocr.analysis.tuning.find_open_edges`."""
    next_gains: Sequence[what_ifs.NextGain]
    untried: Sequence[str]
    """``tuning``, ``folds`` and ``tta``, as far as they were not tried."""
    words: word_errors.WordLosses | None
    """None where single words were not recorded."""
    worst_pages: pd.DataFrame
    """Rows of ``tabulate_pages``."""
    blank_pages: int
    """Pages without a true word, of those that judge the ensemble."""
    data: Sequence[SubsetData]
    rejected: Mapping[str, int]
    """Reason -> how many pages and words were rejected for it, the most frequent first."""
    settings: Mapping[str, str]
    commands: Sequence[str]
    few_pages: int = FEW_PAGES
    axes: Sequence[str] = tuning.GRID_AXES


def make_report(results: Results, pictures: Mapping[str, str]) -> Report:
    """Compute everything that a report says.

    Args:
        results: What it is about.
        pictures: Name of a picture that was drawn -> its path, relative to the report.
    """
    own, pages, histories = results.own, results.test_pages, results.histories
    scores, words = own.page_scores, results.tables.word_outcomes
    voted = ensemble.score_ensemble(results)
    subset = "" if voted is None else voted.subset
    folds = tables.tabulate_folds(scores, histories)
    mean = folds.loc["mean of folds"].to_dict()
    trusts_holdout = results.has_truth("holdout") and own.thresholds != "holdout"
    values = own.hmeans("out_of_fold").to_numpy(float)
    judged = scores[(scores["member"] == ENSEMBLE) & (scores["subset"] == subset)]
    reasons = results.tables.rejected["reason"].value_counts()
    return Report(
        results=results,
        pictures=pictures,
        recommendation=recommend(results.compared.experiments, pages),
        gaps=list(experiment.list_gaps(results.compared.experiments, pages)),
        differences=recipes.list_differences(results),
        ensemble=voted,
        trusts_holdout=trusts_holdout,
        trusted_hmean=results.hmeans("holdout").mean() if trusts_holdout else mean["hmean"],
        folds=folds,
        fold_gap=mean[f"{subset}_hmean"] - mean["hmean"] if subset else None,
        members=tables.list_members(scores),
        expected=leaderboard_interval(values, pages) if pages > 0 and len(values) > 1 else None,
        balance=ensemble.list_balance(own),
        steps=list(ensemble.list_steps(results, voted)),
        uncompared_views=ensemble.list_uncompared(results),
        epochs=list(fitting.list_epochs(histories, own.trainings)),
        curves=fitting.judge_curves(histories),
        own_curves=fitting.judge_curves(own.histories),
        new_pages=fitting.compare_new_pages(scores, own.thresholds),
        optimism=tuning.measure_optimism(own.tuned),
        edges=tuning.find_open_edges(results.tables.tuning_table, own.tuned),
        next_gains=what_ifs.list_next_gains(scores, words),
        untried=what_ifs.list_untried(results),
        words=_state_losses(words),
        worst_pages=tables.list_worst_pages(scores, subset),
        blank_pages=int((judged["characters_truth"] == 0).sum()),
        data=_describe_data(results.tables.pages, results.tables.rejected),
        rejected={str(reason): int(count) for reason, count in reasons.items()},
        settings=recipes.list_settings(results),
        commands=recipes.list_commands(results),
    )


def _state_losses(words: pd.DataFrame | None) -> word_errors.WordLosses | None:
    """Losses of the own folds out of fold."""
    own = None if words is None else own_folds(words[words["subset"] == "out_of_fold"])
    return None if own is None or own.empty else word_errors.state_losses(own)


def _describe_data(pages: pd.DataFrame, rejected: pd.DataFrame) -> list[SubsetData]:
    found = []
    for subset in pages["subset"].unique():
        own, faults = pages[pages["subset"] == subset], rejected[rejected["subset"] == subset]
        is_page = faults["word"] == ""
        found.append(
            SubsetData(
                subset=subset,
                pages=len(own),
                words=int(own["word_count"].sum()) if own["has_truth"].any() else None,
                blank=int((own["has_truth"] & (own["word_count"] == 0)).sum()),
                rejected_pages=int(is_page.sum()),
                rejected_words=int((~is_page).sum()),
            )
        )
    return found
