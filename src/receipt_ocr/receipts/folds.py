"""Deals the training pages to folds: stratified, near-duplicates together, by seed."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import as_polygon, short_side
from receipt_ocr.receipts.duplicates import group_duplicates
from receipt_ocr.receipts.settings import FOLD_COUNT, SplittingSettings

__all__ = ["FEATURES", "SplittingSettings", "assign_folds"]

FEATURES = ("word_count", "text_height", "aspect")
"""What folds are balanced on; the letters of a stratum's name stand in this order."""


def assign_folds(
    pages: pd.DataFrame,
    words: pd.DataFrame,
    hashes: pd.DataFrame,
    settings: SplittingSettings | None = None,
) -> pd.DataFrame:
    """Deal every training page to one fold.

    A stratum is a triple of quantile bins. Where no two pages are near-duplicates, the folds'
    shares of any stratum differ by at most one page, and so do the sizes of the folds; what is
    left open then evens out the bins of each feature by itself, so that strata of one or two
    pages need no merging.

    Args:
        pages: The pages table; only its train pages are dealt.
        words: The words table.
        hashes: ``page`` and ``hash``, as `hash_images` gives them.
        settings: Seed, bins and what counts as a near-duplicate.

    Returns:
        A row a train page, in the order of ``pages``: ``page``, ``fold`` (0 to 4), ``stratum``
        (the bins, e.g. ``w0-h2-a1``), ``group`` (pages of one number are near-duplicates),
        ``word_count``, ``text_height`` (median short side of the words / longest side of the
        page; 0 without words), ``aspect`` (height / width).

    Raises:
        ValueError: If there are fewer independent pages than folds, or a page has no hash.
    """
    settings = settings or SplittingSettings()
    table = _describe_pages(pages[pages["subset"] == "train"], words)
    table["group"] = group_duplicates(_look_up(hashes, table["page"]), settings.duplicate_distance)
    group_count = table["group"].nunique()
    if group_count < FOLD_COUNT:
        raise ValueError(
            f"{FOLD_COUNT} folds need {FOLD_COUNT} train pages or more that are no "
            f"near-duplicates, got {len(table)} pages in {group_count} groups"
        )
    bins = {name: _cut_bins(table[name], settings.strata_per_feature) for name in FEATURES}
    triples = list(zip(*bins.values(), strict=True))
    marks = [list(zip(FEATURES, triple, strict=True)) for triple in triples]
    table["stratum"] = [f"w{w}-h{h}-a{a}" for w, h, a in triples]
    table["fold"] = _deal(table, marks, settings.seed)
    return table[["page", "fold", "stratum", "group", *FEATURES]]


def _describe_pages(pages: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    own = words[words["page"].isin(pages["page"])]
    heights = own["polygon"].map(lambda flat: short_side(as_polygon(flat))).astype(float)
    median = heights.groupby(own["page"]).median().reindex(pages["page"]).to_numpy()
    longest = pages[["width", "height"]].max(axis=1).to_numpy()
    return pd.DataFrame(
        {
            "page": pages["page"].to_numpy(),
            "word_count": own["page"]
            .value_counts()
            .reindex(pages["page"], fill_value=0)
            .to_numpy(),
            "text_height": np.nan_to_num(median / longest),
            "aspect": (pages["height"] / pages["width"]).to_numpy(),
        }
    )


def _look_up(hashes: pd.DataFrame, names: pd.Series) -> list[str]:
    of_page = dict(zip(hashes["page"], hashes["hash"], strict=True))
    if missing := [name for name in names if name not in of_page]:
        raise ValueError(f"page {missing[0]} has no hash ({len(missing)} missing); hash all pages")
    return [of_page[name] for name in names]


def _cut_bins(values: pd.Series, count: int) -> NDArray[np.int64]:
    """Quantile bin of each value, 0 to ``count - 1``; equal values share a bin."""
    edges = np.quantile(values, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _deal(table: pd.DataFrame, marks: list[list[tuple[str, int]]], seed: int) -> NDArray[np.int64]:
    """Fold of each row: groups of pages first, largest first, then single pages by stratum."""
    rng = np.random.default_rng(seed)
    strata = table["stratum"].tolist()
    members = list(table.groupby("group").indices.values())
    order = sorted(
        rng.permutation(len(members)),
        key=lambda g: (-len(members[g]), strata[members[g][0]]),
    )
    tie_break = rng.permutation(FOLD_COUNT)
    stratum_load, mark_load = _Load(), _Load()
    sizes = np.zeros(FOLD_COUNT, dtype=np.int64)
    folds = np.zeros(len(table), dtype=np.int64)
    for group in order:
        rows = members[group]
        in_stratum = np.sum([stratum_load.of(strata[row]) for row in rows], axis=0)
        in_marks = np.sum([mark_load.of(mark) for row in rows for mark in marks[row]], axis=0)
        fold = int(np.lexsort((tie_break, in_marks, sizes, in_stratum))[0])
        folds[rows] = fold
        sizes[fold] += len(rows)
        for row in rows:
            stratum_load.add(strata[row], fold)
            for mark in marks[row]:
                mark_load.add(mark, fold)
    return folds


class _Load:
    """How many pages of each key every fold already has."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, NDArray[np.int64]] = {}

    def of(self, key: Hashable) -> NDArray[np.int64]:
        """Pages of this key, (FOLD_COUNT,)."""
        return self._counts.setdefault(key, np.zeros(FOLD_COUNT, dtype=np.int64))

    def add(self, key: Hashable, fold: int) -> None:
        """Count one page more."""
        self.of(key)[fold] += 1
