"""A table that shows whether the folds are alike."""

import pandas as pd

from receipt_ocr.receipts.folds import FEATURES

__all__ = ["balance_table"]


def balance_table(folds: pd.DataFrame) -> pd.DataFrame:
    """One row a fold and one for all pages.

    Returns:
        ``fold`` ("all" in the last row), ``pages``, ``groups`` (sets of near-duplicates),
        ``blank_pages``, ``words``, the means ``word_count``, ``text_height`` and ``aspect`` of a
        page, and a column a stratum with its number of pages.
    """
    parts = [(str(fold), rows) for fold, rows in folds.groupby("fold")]
    return pd.DataFrame([_summarise(name, rows, folds) for name, rows in [*parts, ("all", folds)]])


def _summarise(name: str, rows: pd.DataFrame, folds: pd.DataFrame) -> dict[str, object]:
    strata = rows["stratum"].value_counts()
    return {
        "fold": name,
        "pages": len(rows),
        "groups": rows["group"].nunique(),
        "blank_pages": int((rows["word_count"] == 0).sum()),
        "words": int(rows["word_count"].sum()),
        **{feature: float(rows[feature].mean()) for feature in FEATURES},
        **{stratum: int(strata.get(stratum, 0)) for stratum in sorted(set(folds["stratum"]))},
    }
