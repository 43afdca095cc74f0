"""Tables of who scores higher, page by page: experiments, settings, and intervals of each member.

All of them start from ``page_scores``: a row a member, subset and page, with at least the columns
``member``, ``subset``, ``page`` and ``hmean``. Members named ``fold_K`` are an experiment's own
folds; others may be ``ensemble`` and the folds of further experiments (``NAME/fold_K``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import (
    PairedComparison,
    Verdict,
    bootstrap_mean,
    compare_paired,
    leaderboard_interval,
)
from receipt_ocr.identity import Member

ENSEMBLE = "ensemble"
"""Name of the ensemble among the members of the score tables."""
ALL_FOLDS = "all folds"
"""The out-of-fold pages of all own folds together, each page judged by the fold that never saw
it."""
MEAN_FOLD = "mean fold"
"""The mean over an experiment's own folds on each page."""

_OUT_OF_FOLD = "out_of_fold"
SUBSETS = (_OUT_OF_FOLD, "holdout", "test")
_COUNTS = ["only_first", "only_second"]
_FIGURES = ["first_hmean", "second_hmean", "difference", "low", "high"]

_Row = tuple[object, ...]


def compare_tables(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]
) -> pd.DataFrame:
    """Two experiments, or two ways to run one, on the pages that both were judged on.

    Compared are the out-of-fold pages of all own folds, each page once; and on holdout and test
    pages the two ensembles, and the mean over the own folds that both have.

    ``names`` stand in messages and in ``attrs["names"]``.

    Returns:
        ``subset``; ``member``: what was compared (``all folds``, ``ensemble``, ``mean fold``);
        ``pages`` that both were judged on; ``first_hmean``, ``second_hmean``; ``difference``
        (first minus second, page-mean H-mean), ``low``, ``high`` (its 95 % interval, paired
        bootstrap over pages); ``verdict`` of the first; ``only_first``, ``only_second``: pages
        left out because one alone was judged on them. Rows with fewer than two common pages are
        left out.

    Raises:
        ValueError: If a table lacks a column, a score is not finite, or the two were judged by
            different true words.
    """
    check_pair(first, second, names)
    rows: list[_Row] = []
    for subset in SUBSETS:
        a, b = (table[table["subset"] == subset] for table in (first, second))
        if subset == _OUT_OF_FOLD:
            rows += _compare(subset, ALL_FOLDS, _pool_folds(a), _pool_folds(b))
            continue
        rows += _compare(subset, ENSEMBLE, _scores_of(a, ENSEMBLE), _scores_of(b, ENSEMBLE))
        folds = [fold for fold in _own_folds(a) if fold in _own_folds(b)]
        rows += _compare(subset, MEAN_FOLD, _average_folds(a, folds), _average_folds(b, folds))
    columns = ["subset", "member", "pages", *_FIGURES, "verdict", *_COUNTS]
    types = dict.fromkeys(["pages", *_COUNTS], "int64") | dict.fromkeys(_FIGURES, "float64")
    found = pd.DataFrame(rows, columns=columns).astype(types)
    found.attrs["names"] = list(names)
    return found


def list_intervals(page_scores: pd.DataFrame, test_pages: int | None = None) -> pd.DataFrame:
    """Every member's score on every subset with its 95 % interval (bootstrap over pages).

    ``test_pages`` are those of a leaderboard whose score is to be foretold, None for no such score.

    Returns:
        A row a subset and member, after the folds' out-of-fold rows one more for ``all folds``:
        ``subset``, ``member``, ``pages``, ``hmean``, ``low``, ``high``; NaN interval of a single
        page. ``leaderboard_low``, ``leaderboard_high``: where a fold's score on ``test_pages``
        other pages would lie (:func:`leaderboard_interval`), in the row ``all folds`` only, else
        NaN.

    Raises:
        ValueError: If the table lacks a column, a score is not finite, or ``test_pages`` is
            below 1.
    """
    _check(page_scores, "page_scores")
    if test_pages is not None and test_pages < 1:
        raise ValueError(f"test_pages must be 1 or more, got {test_pages}")
    rows = []
    for subset, member, scores in _groups(page_scores):
        values = scores.to_numpy(float)
        row = {"subset": subset, "member": member, "pages": len(values), "hmean": values.mean()}
        if len(values) > 1:
            found = bootstrap_mean(values)
            row |= {"low": found.low, "high": found.high}
            if member == ALL_FOLDS and test_pages is not None:
                board = leaderboard_interval(values, test_pages)
                row |= {"leaderboard_low": board.low, "leaderboard_high": board.high}
        rows.append(row)
    numbers = ["hmean", "low", "high", "leaderboard_low", "leaderboard_high"]
    table = pd.DataFrame(rows, columns=["subset", "member", "pages", *numbers])
    return table.astype({"pages": "int64", **dict.fromkeys(numbers, "float64")})


def own_folds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an experiment's own folds, of a table with a column ``member``."""
    return table[table["member"].isin(_own_folds(table))]


def pool_scores(page_scores: pd.DataFrame, subset: str, member: str) -> pd.Series:
    """Page -> H-mean on a subset of one member, :data:`ALL_FOLDS` or :data:`MEAN_FOLD`."""
    own = page_scores[page_scores["subset"] == subset]
    if member == ALL_FOLDS:
        return _pool_folds(own)
    if member == MEAN_FOLD:
        return _average_folds(own, _own_folds(own))
    return _scores_of(own, member)


def state_verdict(verdict: Verdict, names: tuple[str, str]) -> str:
    """A verdict of the first as a sentence that begins with whoever scores higher."""
    if verdict == "cannot be told apart":
        return f"{names[0]} and {names[1]} cannot be told apart"
    higher, lower = names if verdict == "better" else names[::-1]
    return f"{higher} is better than {lower}"


def _check(table: pd.DataFrame, name: str) -> None:
    missing = [c for c in ("member", "subset", "page", "hmean") if c not in table.columns]
    if missing:
        raise ValueError(f"the page scores of {name} lack the columns {', '.join(missing)}")
    is_bad = ~np.isfinite(table["hmean"].to_numpy(float))
    if is_bad.any():
        row = table[is_bad].iloc[0]
        raise ValueError(
            f"the page scores of {name} hold H-mean {row['hmean']} for member {row['member']}, "
            f"page {row['page']} ({row['subset']}); make them again with --pipeline=ensemble"
        )


def check_pair(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]) -> None:
    """Raise ValueError unless two can be compared; see :func:`compare_tables`."""
    for table, name in zip((first, second), names, strict=True):
        _check(table, name)
    counts = [
        table.groupby(["subset", "page"], sort=False)["characters_truth"].first()
        for table in (first, second)
        if "characters_truth" in table.columns
    ]
    if len(counts) < 2:
        return
    both = pd.concat(counts, axis=1, join="inner", keys=["first", "second"])
    differing = both[both["first"] != both["second"]]
    if len(differing):
        subset, page = differing.index[0]
        ours, others = differing.iloc[0]
        raise ValueError(
            f"{len(differing)} pages were judged by other true words: {page} ({subset}) has {ours} "
            f"characters for {names[0]}, {others} for {names[1]}. Make the older of both scores "
            "again with --pipeline=ensemble"
        )


def _own_folds(table: pd.DataFrame) -> list[str]:
    members = table["member"].astype(str).unique()
    return [name for name in members if name != ENSEMBLE and not Member.parse(name).is_external]


def _scores_of(own: pd.DataFrame, member: str) -> pd.Series:
    """Page -> H-mean of one member."""
    return own[own["member"] == member].groupby("page")["hmean"].mean()


def _pool_folds(own: pd.DataFrame) -> pd.Series:
    """Page -> H-mean by the own fold that judged it."""
    return own[own["member"].isin(_own_folds(own))].groupby("page")["hmean"].mean()


def _average_folds(own: pd.DataFrame, folds: list[str]) -> pd.Series:
    """Page -> mean H-mean of these folds, on the pages that each of them judged."""
    if not folds:
        return pd.Series(dtype=float)
    table = pd.concat([_scores_of(own, fold) for fold in folds], axis=1, join="inner")
    return table.mean(axis=1)


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series]]:
    """Subset, member, and page -> H-mean; with the own folds' out-of-fold pages pooled."""
    known = [subset for subset in SUBSETS if (table["subset"] == subset).any()]
    for subset in dict.fromkeys([*known, *table["subset"].astype(str)]):
        own = table[table["subset"] == subset]
        for member in own["member"].astype(str).unique():
            yield subset, member, _scores_of(own, member)
        if subset == _OUT_OF_FOLD and _own_folds(own):
            yield subset, ALL_FOLDS, _pool_folds(own)


def compare_common(first: pd.Series, second: pd.Series) -> PairedComparison | None:
    """Compare two series of page -> H-mean on their common pages; None for fewer than two."""
    pages = first.index.intersection(second.index).sort_values()
    if len(pages) < 2:
        return None
    return compare_paired(first.loc[pages].to_numpy(float), second.loc[pages].to_numpy(float))


def _compare(subset: str, kind: str, first: pd.Series, second: pd.Series) -> list[_Row]:
    """One row of :func:`compare_tables`; none for fewer than two common pages."""
    found = compare_common(first, second)
    if found is None:
        return []
    pages = first.index.intersection(second.index)
    means = first.loc[pages].mean(), second.loc[pages].mean()
    scores = (*means, found.difference, found.low, found.high, found.verdict)
    left_out = (len(first) - len(pages), len(second) - len(pages))
    return [(subset, kind, len(pages), *scores, *left_out)]
