"""Deal the training pages to folds: stratified, near-duplicates together, by seed."""

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import as_polygon, short_side
from receipt_ocr.receipts.duplicates import group_duplicates
from receipt_ocr.receipts.settings import FOLD_COUNT, SplittingSettings

FEATURES = ("word_count", "text_height", "aspect")
"""What folds are balanced on; the letters of a stratum's name stand in this order."""


def assign_folds(
    pages: pd.DataFrame,
    words: pd.DataFrame,
    hashes: pd.DataFrame,
    settings: SplittingSettings | None = None,
) -> pd.DataFrame:
    """Deal every training page to one fold.

    A stratum is a triple of quantile bins, one for each feature. Where no two pages are
    near-duplicates, the folds' shares of any stratum differ by at most one page, and so do the
    sizes of the folds. Ties are broken so as to even out the bins of each single feature, which
    is why strata of one or two pages need no merging.

    Args:
        pages: The pages table; only its train pages are dealt.
        words: The words table.
        hashes: ``page`` and ``hash``, as `hash_images` gives them.
        settings: Seed, bins and what counts as a near-duplicate.

    Returns:
        One row for each train page, in the order of ``pages``: ``page``, ``fold`` (0 to 4),
        ``stratum`` (the bins, e.g. ``w0-h2-a1``), ``group`` (near-duplicates share a number),
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
    bins = [_cut_bins(table[name], settings.strata_per_feature) for name in FEATURES]
    table["stratum"] = [f"w{w}-h{h}-a{a}" for w, h, a in zip(*bins, strict=True)]
    table["fold"] = _deal(table, settings.seed)
    return table[["page", "fold", "stratum", "group", *FEATURES]]


def balance_table(folds: pd.DataFrame) -> pd.DataFrame:
    """Tabulate how alike the folds are, one row for each fold and one for all pages.

    Args:
        folds: From `assign_folds`.

    Returns:
        ``fold`` ("all" in the last row), ``pages``, ``groups`` (sets of near-duplicates),
        ``blank_pages``, ``words``, the means ``word_count``, ``text_height`` and ``aspect`` of a
        page, and for each stratum a column with its number of pages.
    """
    parts = [(str(fold), rows) for fold, rows in folds.groupby("fold")]
    strata = sorted(set(folds["stratum"]))
    return pd.DataFrame([_summarise(name, rows, strata) for name, rows in [*parts, ("all", folds)]])


def _summarise(name: str, rows: pd.DataFrame, strata: list[str]) -> dict[str, object]:
    counts = rows["stratum"].value_counts()
    return {
        "fold": name,
        "pages": len(rows),
        "groups": rows["group"].nunique(),
        "blank_pages": int((rows["word_count"] == 0).sum()),
        "words": int(rows["word_count"].sum()),
        **{feature: float(rows[feature].mean()) for feature in FEATURES},
        **{stratum: int(counts.get(stratum, 0)) for stratum in strata},
    }


def _describe_pages(pages: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    own = words[words["page"].isin(pages["page"])]
    heights = own["polygon"].map(lambda flat: short_side(as_polygon(flat))).astype(float)
    median = heights.groupby(own["page"]).median().reindex(pages["page"]).to_numpy()
    longest = pages[["width", "height"]].max(axis=1).to_numpy()
    counts = own["page"].value_counts().reindex(pages["page"], fill_value=0)
    return pd.DataFrame(
        {
            "page": pages["page"].to_numpy(),
            "word_count": counts.to_numpy(),
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


def _deal(table: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """Fold of each row: groups of pages first, largest first, then single pages by stratum."""
    rng = np.random.default_rng(seed)
    strata: list[str] = table["stratum"].tolist()
    groups = list(table.groupby("group").indices.values())
    order = sorted(
        rng.permutation(len(groups)),
        key=lambda g: (-len(groups[g]), strata[groups[g][0]]),
    )
    tie_break = rng.permutation(FOLD_COUNT)
    # Stratum ("w0-h2-a1") or bin ("w0") -> how many of its pages each fold already has.
    loads: defaultdict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(FOLD_COUNT, np.int64))
    sizes = np.zeros(FOLD_COUNT, dtype=np.int64)
    folds = np.zeros(len(table), dtype=np.int64)
    for group in order:
        own = [strata[row] for row in groups[group]]
        own_bins = [name for stratum in own for name in stratum.split("-")]
        in_stratum = np.sum([loads[stratum] for stratum in own], axis=0)
        in_bins = np.sum([loads[name] for name in own_bins], axis=0)
        fold = int(np.lexsort((tie_break, in_bins, sizes, in_stratum))[0])  # last key counts first
        folds[groups[group]] = fold
        sizes[fold] += len(own)
        for key in [*own, *own_bins]:
            loads[key][fold] += 1
    return folds
