"""The numbers of a report: folds beside the ensemble, comparisons, errors, worst pages."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import compare_paired
from receipt_ocr.analysis.scores import ERRORS

__all__ = [
    "ENSEMBLE",
    "choose_pages",
    "compare_members",
    "find_grid_edges",
    "judging_subset",
    "list_worst_pages",
    "tabulate_errors",
    "tabulate_folds",
]

ENSEMBLE = "ensemble"
"""Name of the ensemble among the members of the score tables."""

_GRID_AXES = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")


def judging_subset(page_scores: pd.DataFrame) -> str | None:
    """Where the ensemble is judged: ``test``, without its truth ``holdout``, else None."""
    own = page_scores[page_scores["member"] == ENSEMBLE]
    return next((s for s in ("test", "holdout") if (own["subset"] == s).any()), None)


def tabulate_folds(
    scores: pd.DataFrame, histories: Mapping[str, pd.DataFrame | None]
) -> pd.DataFrame:
    """The folds, their mean and standard deviation, and the ensemble.

    Args:
        scores: Rows of ``tabulate_scores``.
        histories: Member -> a row an epoch with ``epoch`` and ``hmean``; None where unknown.

    Returns:
        Index: the members, ``mean of folds``, ``standard deviation`` (of a sample), ``ensemble``.
        Columns: ``pages`` (out-of-fold), ``best_epoch``, ``epochs``, ``precision``, ``recall`` and
        ``hmean`` out of fold, ``holdout_hmean``, ``test_hmean``, ``gap`` (test minus out-of-fold
        H-mean); NaN where there is nothing.
    """
    by_key = scores.set_index(["member", "subset"])
    rows = {member: _describe_training(history) for member, history in histories.items()}
    folds = pd.DataFrame.from_dict(rows, orient="index").astype(float)
    ensemble = pd.DataFrame(index=[ENSEMBLE], columns=folds.columns, dtype=float)
    table = pd.concat([folds, ensemble])
    for column, subset, name in (
        ("pages", "out_of_fold", "pages"),
        ("precision", "out_of_fold", "precision"),
        ("recall", "out_of_fold", "recall"),
        ("hmean", "out_of_fold", "hmean"),
        ("holdout_hmean", "holdout", "hmean"),
        ("test_hmean", "test", "hmean"),
    ):
        keys = [(member, subset) for member in table.index]
        table[column] = by_key[name].reindex(pd.MultiIndex.from_tuples(keys)).to_numpy(float)
    table["gap"] = table["test_hmean"] - table["hmean"]
    folds = table.loc[list(histories)]
    spread = pd.DataFrame({"mean of folds": folds.mean(), "standard deviation": folds.std(ddof=1)})
    order = ["pages", "best_epoch", "epochs", "precision", "recall", "hmean"]
    order += ["holdout_hmean", "test_hmean", "gap"]
    return pd.concat([folds, spread.T, table.loc[[ENSEMBLE]]])[order]


def compare_members(page_scores: pd.DataFrame, subset: str) -> pd.DataFrame:
    """The ensemble against the best member, the members' mean, and each member, page by page.

    The best member is the one with the highest score on these very pages: the hardest opponent,
    one that nobody could have picked beforehand.

    Args:
        page_scores: Rows of ``tabulate_pages``.
        subset: That the ensemble was scored on.

    Returns:
        ``opponent``, ``difference`` (ensemble minus opponent, page-mean H-mean), ``low``, ``high``
        (95 % interval), ``pages``, ``verdict``; no rows where there are fewer than two members
        or pages.
    """
    columns = ["opponent", "difference", "low", "high", "pages", "verdict"]
    own = page_scores[page_scores["subset"] == subset]
    by_member = own.pivot(index="page", columns="member", values="hmean").astype(float)
    members = by_member.drop(columns=ENSEMBLE)
    if members.shape[1] < 2 or len(by_member) < 2:
        return pd.DataFrame(columns=columns)
    best = str(members.mean().idxmax())
    opponents = {f"best fold, {best}": members[best], "mean fold": members.mean(axis=1)}
    opponents |= {str(name): members[name] for name in members}
    rows = []
    for name, hmeans in opponents.items():
        found = compare_paired(by_member[ENSEMBLE].to_numpy(), hmeans.to_numpy())
        rows.append(
            (name, found.difference, found.low, found.high, found.pages, found.verdict),
        )
    return pd.DataFrame(rows, columns=columns)


def tabulate_errors(page_scores: pd.DataFrame) -> pd.DataFrame:
    """Sums over the pages: ``member, subset, pages, missed, split, merged, false``.

    Missed and split are true words; merged and false are detections.
    """
    groups = page_scores.groupby(["subset", "member"], sort=False)
    table = groups[ERRORS].sum().astype(int)
    table.insert(0, "pages", groups.size())
    return table.reset_index()[["member", "subset", "pages", *ERRORS]]


def list_worst_pages(page_scores: pd.DataFrame, subset: str, count: int = 10) -> pd.DataFrame:
    """The ensemble's pages with the lowest H-mean, worst first.

    Pages without a true character are left out: nothing that is detected can raise their 0.
    """
    is_listed = (page_scores["member"] == ENSEMBLE) & (page_scores["subset"] == subset)
    own = page_scores[is_listed & (page_scores["characters_truth"] > 0)]
    return own.sort_values(["hmean", "page"]).head(count)


def choose_pages(page_scores: pd.DataFrame, pages: pd.DataFrame, count: int = 6) -> list[str]:
    """Test pages to look at: from the ensemble's worst over the middle to its best.

    Args:
        page_scores: Rows of ``tabulate_pages``.
        pages: The pages table.
        count: How many, at most.

    Returns:
        Names of pages, worst first, evenly spread over the ranks; over the order of the table
        where the truth of the test pages is withheld.
    """
    ranked = list_worst_pages(page_scores, "test", len(page_scores))["page"].tolist()
    names = ranked or pages.loc[pages["subset"] == "test", "page"].tolist()
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return [str(names[place]) for place in np.round(places).astype(int)]


def find_grid_edges(tuning_table: pd.DataFrame, best: Mapping[str, float]) -> dict[str, str]:
    """Where the best point lies at the end of what was tried, so that better may lie beyond.

    Args:
        tuning_table: A row a point of the grid.
        best: The chosen settings.

    Returns:
        Setting -> ``lowest`` or ``highest``; settings with a single value have no edge.
    """
    edges = {}
    for axis in _GRID_AXES:
        if axis not in tuning_table:  # a table of an earlier version
            continue
        tried = tuning_table[axis]
        if tried.nunique() > 1 and np.isclose(best[axis], [tried.min(), tried.max()]).any():
            edges[axis] = "lowest" if np.isclose(best[axis], tried.min()) else "highest"
    return edges


def _describe_training(history: pd.DataFrame | None) -> dict[str, float]:
    if history is None:
        return {"best_epoch": np.nan, "epochs": np.nan}
    best = int(history["hmean"].to_numpy(float).argmax())  # the first of equals, as training has it
    return {"best_epoch": float(history["epoch"].iloc[best]), "epochs": float(len(history))}
