"""Tables of scores: folds beside the ensemble, members on every subset, worst pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import Interval
from receipt_ocr.analysis.comparisons import (
    ALL_FOLDS,
    ENSEMBLE,
    SUBSETS,
    list_intervals,
    own_folds,
)
from receipt_ocr.analysis.experiment import find_peak
from receipt_ocr.analysis.scores import ERRORS


@dataclass(frozen=True)
class SubsetScore:
    """A member's score on a subset."""

    pages: int
    hmean: Interval
    """Its mean and 95 % interval; NaN ends for a single page."""
    errors: Sequence[int]
    """Missed and split true words, merged and false detections."""


def judging_subset(page_scores: pd.DataFrame) -> str | None:
    """Subset that judges the ensemble: ``test``, without its truth ``holdout``, else None."""
    own = page_scores[page_scores["member"] == ENSEMBLE]
    return next((s for s in ("test", "holdout") if (own["subset"] == s).any()), None)


def tabulate_folds(
    page_scores: pd.DataFrame, histories: Mapping[str, pd.DataFrame | None]
) -> pd.DataFrame:
    """The folds, their mean and standard deviation, and the ensemble.

    Returns:
        Index: the members, ``mean of folds``, ``standard deviation`` (of a sample), ``ensemble``.
        Columns: ``pages`` (out-of-fold), ``best_epoch``, ``epochs``, ``precision``, ``recall`` and
        ``hmean`` out of fold, ``holdout_hmean``, ``test_hmean``, ``gap`` (test minus out-of-fold
        H-mean); NaN where there is nothing.
    """
    groups = page_scores.groupby(["member", "subset"])
    means = groups[["precision", "recall", "hmean"]].mean().assign(pages=groups.size())
    members = [*histories, ENSEMBLE]
    known = [histories.get(member) for member in members]
    trained = {
        "best_epoch": [find_peak(history) for history in known],
        "epochs": [None if history is None else len(history) for history in known],
    }
    table = pd.DataFrame(trained, index=members, dtype=float)
    for subset in SUBSETS:
        own = means.reindex(pd.MultiIndex.from_product([members, [subset]])).droplevel(1)
        table[f"{subset}_hmean"] = own["hmean"]
        if subset == "out_of_fold":
            table[own.columns] = own
    table["gap"] = table["test_hmean"] - table["hmean"]
    folds = table.loc[list(histories)]
    spread = pd.DataFrame({"mean of folds": folds.mean(), "standard deviation": folds.std(ddof=1)})
    return pd.concat([folds, spread.T, table.loc[[ENSEMBLE]]])


def list_members(page_scores: pd.DataFrame) -> dict[str, dict[str, SubsetScore]]:
    """Member -> subset -> its score, then those of all own folds together out of fold."""
    found: dict[str, dict[str, SubsetScore]] = {}
    for row in list_intervals(page_scores).to_dict("records"):
        own = page_scores[page_scores["subset"] == row["subset"]]
        is_pooled = row["member"] == ALL_FOLDS
        own = own_folds(own) if is_pooled else own[own["member"] == row["member"]]
        interval = Interval(row["hmean"], row["low"], row["high"])
        score = SubsetScore(int(row["pages"]), interval, [int(n) for n in own[ERRORS].sum()])
        found.setdefault(str(row["member"]), {})[row["subset"]] = score
    return found


def list_worst_pages(page_scores: pd.DataFrame, subset: str, count: int = 6) -> pd.DataFrame:
    """The ensemble's pages with the lowest H-mean, worst first.

    Pages without a true character are left out: nothing that is detected can raise their 0.
    """
    is_listed = (page_scores["member"] == ENSEMBLE) & (page_scores["subset"] == subset)
    own = page_scores[is_listed & (page_scores["characters_truth"] > 0)]
    return own.sort_values(["hmean", "page"]).head(count)


def choose_pages(page_scores: pd.DataFrame, pages: pd.DataFrame, count: int = 6) -> list[str]:
    """At most ``count`` test pages to look at, from the ensemble's worst to its best.

    They are evenly spread over the ranks; over the order of the table of pages where the truth of
    the test pages is withheld.
    """
    ranked = list_worst_pages(page_scores, "test", len(page_scores))["page"].tolist()
    names = ranked or pages.loc[pages["subset"] == "test", "page"].tolist()
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return [str(names[place]) for place in np.round(places).astype(int)]
