"""Statements on the ensemble: its score, which score to trust, and what each step gained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from receipt_ocr.analysis.bootstrap import (
    Interval,
    PairedComparison,
    bootstrap_mean,
    compare_paired,
)
from receipt_ocr.analysis.comparisons import (
    ALL_FOLDS,
    ENSEMBLE,
    compare_settings,
    compare_tables,
    own_folds,
)
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import judging_subset
from receipt_ocr.identity import ExperimentId

__all__ = [
    "Balance",
    "EnsembleScore",
    "FoldGap",
    "Opponent",
    "Step",
    "compare_members",
    "list_balance",
    "list_steps",
    "list_uncompared",
    "score_ensemble",
    "state_fold_gap",
]


@dataclass(frozen=True)
class Opponent:
    """A single member, or the members' mean, beside the ensemble."""

    kind: str
    """``best fold``, ``mean fold`` or ``fold``."""
    member: str | None
    """None for the mean."""
    comparison: PairedComparison
    """The ensemble minus this one."""


@dataclass(frozen=True)
class EnsembleScore:
    """The ensemble's H-mean where it is judged."""

    subset: str
    pages: int
    hmean: float
    interval: Interval | None
    """None for a single page."""
    alone: tuple[float, float] | None
    """Lowest and highest H-mean of its members alone; None where there is one member."""
    opponents: Sequence[Opponent]
    """The best fold, the mean fold, then the others; empty where there is nothing to compare."""


@dataclass(frozen=True)
class FoldGap:
    """The folds' scores on new pages against those out of fold."""

    subset: str
    gap: float
    """Mean over the folds of one H-mean minus the other."""
    spread: float
    """Standard deviation of the out-of-fold H-mean between folds; NaN for one fold."""


@dataclass(frozen=True)
class Step:
    """Gain of one step on the way to the submission, page by page."""

    kind: str
    """``best fold``, ``mean fold``, ``fold`` (the ensemble instead of them), ``tuning`` or
    ``tta``."""
    name: str | None
    """The fold that the ensemble stands for, or the TTA view."""
    member: str
    """Compared scores: those of the ``ensemble`` or of ``all folds``."""
    subset: str
    before: float
    after: float
    comparison: PairedComparison


@dataclass(frozen=True)
class Balance:
    """Precision against recall over the same pages."""

    subset: str
    member: str
    precision: float
    recall: float
    comparison: PairedComparison
    """Precision minus recall."""


def compare_members(page_scores: pd.DataFrame, subset: str) -> list[Opponent]:
    """The ensemble against the best member, the members' mean, and each other member, by page.

    The best member is the one with the highest score on these very pages: the hardest opponent,
    one that nobody could have picked beforehand.

    Args:
        page_scores: Rows of ``tabulate_pages``.
        subset: That the ensemble was scored on.

    Returns:
        In that order; nothing where there are fewer than two members or pages.
    """
    own = page_scores[page_scores["subset"] == subset]
    by_member = own.pivot(index="page", columns="member", values="hmean").astype(float)
    members = by_member.drop(columns=ENSEMBLE)
    if members.shape[1] < 2 or len(by_member) < 2:
        return []
    ensemble = by_member[ENSEMBLE].to_numpy()
    best = str(members.mean().idxmax())
    sides = [("best fold", best, members[best]), ("mean fold", None, members.mean(axis=1))]
    sides += [("fold", str(name), members[name]) for name in members if name != best]
    return [
        Opponent(kind, member, compare_paired(ensemble, hmeans.to_numpy()))
        for kind, member, hmeans in sides
    ]


def score_ensemble(results: Results) -> EnsembleScore | None:
    """The ensemble's score; None where no truth is known to judge it by."""
    subset = judging_subset(results.own.page_scores)
    if subset is None:
        return None
    hmeans = results.hmeans(subset)
    alone = [float(results.hmeans(subset, name).mean()) for name in results.histories]
    return EnsembleScore(
        subset=subset,
        pages=len(hmeans),
        hmean=float(hmeans.mean()),
        interval=bootstrap_mean(hmeans.to_numpy()) if len(hmeans) > 1 else None,
        alone=(min(alone), max(alone)) if len(alone) > 1 else None,
        opponents=compare_members(results.own.page_scores, subset),
    )


def state_fold_gap(folds: pd.DataFrame, subset: str | None) -> FoldGap | None:
    """The gap between new and out-of-fold pages.

    Args:
        folds: Of ``tabulate_folds``.
        subset: Of the new pages; None where there are none.
    """
    if subset is None:
        return None
    columns = {str(name): folds[name].to_dict() for name in folds}
    gap = columns[f"{subset}_hmean"]["mean of folds"] - columns["hmean"]["mean of folds"]
    return FoldGap(subset, float(gap), float(columns["hmean"]["standard deviation"]))


def list_steps(results: Results, score: EnsembleScore | None) -> Iterator[Step]:
    """Voting, then tuning, then each TTA view, each against the way without it.

    Args:
        results: Of the report.
        score: Of :func:`score_ensemble`.
    """
    if score is not None:
        for one in score.opponents:
            sides = score.hmean - one.comparison.difference, score.hmean
            yield Step(one.kind, one.member, ENSEMBLE, score.subset, *sides, one.comparison)
    own, untuned = results.own.page_scores, results.tables.untuned_page_scores
    if untuned is not None and len(untuned):
        yield from _read_steps("tuning", None, compare_settings(own, untuned), "untuned", "tuned")
    plain = _find_plain(results)
    for view in _list_views(results):
        if plain is not None and _is_alike(view, plain):
            name = ExperimentId.parse(view.name).tta_view
            table = compare_tables(view.page_scores, plain.page_scores, (view.name, plain.name))
            yield from _read_steps("tta", name, table, "second", "first")


def list_uncompared(results: Results) -> list[str]:
    """TTA views that differ in more than the view: in the folds that vote, or in tuning."""
    plain = _find_plain(results)
    views = _list_views(results) if plain is not None else []
    return [view.name for view in views if not _is_alike(view, plain)]


def list_balance(page_scores: pd.DataFrame) -> Iterator[Balance]:
    """Precision against recall on each subset with two pages or more."""
    for subset in ("out_of_fold", "holdout", "test"):
        own = page_scores[page_scores["subset"] == subset]
        member = ALL_FOLDS if subset == "out_of_fold" else ENSEMBLE
        own = own_folds(own) if member == ALL_FOLDS else own[own["member"] == member]
        if len(own) > 1:
            precision, recall = (own[name].to_numpy(float) for name in ("precision", "recall"))
            found = compare_paired(precision, recall)
            yield Balance(subset, member, float(precision.mean()), float(recall.mean()), found)


def _read_steps(
    kind: str, name: str | None, table: pd.DataFrame, before: str, after: str
) -> Iterator[Step]:
    """Steps from a table of :func:`compare_tables` or :func:`compare_settings`."""
    rows: Any = table[table["member"].isin([ALL_FOLDS, ENSEMBLE])].itertuples()
    for row in rows:
        found = PairedComparison(row.difference, row.low, row.high, row.pages)
        sides = getattr(row, f"{before}_hmean"), getattr(row, f"{after}_hmean")
        yield Step(kind, name, row.member, row.subset, *sides, found)


def _list_views(results: Results) -> list[Experiment]:
    """Experiments with the same detectors under a TTA view."""
    own = ExperimentId.parse(results.own.name).experiment
    named = [(ExperimentId.parse(one.name), one) for one in results.compared.experiments]
    return [one for name, one in named if name.experiment == own and not name.is_plain]


def _find_plain(results: Results) -> Experiment | None:
    own = ExperimentId.parse(results.own.name).experiment
    return next((one for one in results.compared.experiments if one.name == own), None)


def _is_alike(view: Experiment, plain: Experiment | None) -> bool:
    """Nothing but the view differs: the same members vote, and both are tuned or none."""
    return (
        plain is not None
        and view.voting.names == plain.voting.names
        and view.thresholds == plain.thresholds
    )
