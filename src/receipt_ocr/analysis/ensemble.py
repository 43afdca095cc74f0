"""Statements on the ensemble: its score, which score to trust, and what each step gained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    SUBSETS,
    check_pair,
    compare_common,
    pool_scores,
)
from receipt_ocr.analysis.experiment import OUT_OF_FOLD, Experiment
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import judging_subset
from receipt_ocr.identity import ExperimentId


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
class EnsembleScore:
    """The ensemble's H-mean where it is judged."""

    subset: str
    pages: int
    hmean: float
    interval: Interval | None
    """None for a single page."""
    alone: tuple[float, float] | None
    """Lowest and highest H-mean of its members alone; None where there is one member."""
    opponents: Sequence[Step]
    """The best fold, the mean fold, then the others; empty where there is nothing to compare."""


def compare_members(page_scores: pd.DataFrame, subset: str) -> list[Step]:
    """The ensemble against the best member, the members' mean, and each other member, by page.

    The best member is the one with the highest score on these very pages: the hardest opponent,
    one that nobody could have picked beforehand. The list is empty for fewer than two members or
    pages.
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
    steps = []
    for kind, name, hmeans in sides:
        found, after = compare_paired(ensemble, hmeans.to_numpy()), float(ensemble.mean())
        steps.append(Step(kind, name, ENSEMBLE, subset, after - found.difference, after, found))
    return steps


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


def list_steps(results: Results, score: EnsembleScore | None) -> Iterator[Step]:
    """Voting, then tuning, then each TTA view, each against the way without it."""
    if score is not None:
        yield from score.opponents
    own, untuned = results.own, results.tables.untuned_page_scores
    if untuned is not None and len(untuned):
        yield from _compare("tuning", None, own.page_scores, untuned, ("tuned", "untuned"))
    plain = _find_plain(results)
    for view in results.views:
        if plain is not None and _is_alike(view, plain):
            name, both = ExperimentId.parse(view.name).tta_view, (view.name, plain.name)
            yield from _compare("tta", name, view.page_scores, plain.page_scores, both)


def list_uncompared(results: Results) -> list[str]:
    """TTA views that differ in more than the view: in the folds that vote, or in tuning."""
    plain = _find_plain(results)
    if plain is None:
        return []
    return [view.name for view in results.views if not _is_alike(view, plain)]


def list_balance(own: Experiment) -> dict[str, PairedComparison]:
    """Subset with two pages or more -> precision minus recall, paired by page."""
    tables = {subset: own.judged_pages(subset) for subset in SUBSETS}
    return {
        subset: compare_paired(table["precision"].to_numpy(float), table["recall"].to_numpy(float))
        for subset, table in tables.items()
        if len(table) > 1
    }


def _compare(
    kind: str,
    name: str | None,
    after: pd.DataFrame,
    before: pd.DataFrame,
    names: tuple[str, str],
) -> Iterator[Step]:
    """A step on each subset, on the pages that both tables of page scores have."""
    check_pair(after, before, names)
    for subset in SUBSETS:
        member = ALL_FOLDS if subset == OUT_OF_FOLD else ENSEMBLE
        new, old = (pool_scores(table, subset, member) for table in (after, before))
        found, pages = compare_common(new, old), new.index.intersection(old.index)
        if found is not None:
            means = float(old.loc[pages].mean()), float(new.loc[pages].mean())
            yield Step(kind, name, member, subset, *means, found)


def _find_plain(results: Results) -> Experiment | None:
    own = ExperimentId.parse(results.own.name).experiment
    return next((one for one in results.compared.experiments if one.name == own), None)


def _is_alike(view: Experiment, plain: Experiment) -> bool:
    """Nothing but the view differs: the same members vote, and both are tuned or none."""
    return view.voting.names == plain.voting.names and view.thresholds == plain.thresholds
