"""Nodes of the splitting stage."""

from pathlib import Path

import pandas as pd

from receipt_ocr.receipts.settings import SplittingSettings


def hash_pages(raw_receipts: Path, pages: pd.DataFrame) -> pd.DataFrame:
    """Hash the train images, so that near-duplicates are found."""
    from receipt_ocr.receipts.duplicates import hash_images

    return hash_images(raw_receipts, pages[pages["subset"] == "train"])


def split_pages(
    pages: pd.DataFrame, words: pd.DataFrame, page_hashes: pd.DataFrame, settings: SplittingSettings
) -> pd.DataFrame:
    """Deal the train pages to folds."""
    from receipt_ocr.receipts.folds import assign_folds

    return assign_folds(pages, words, page_hashes, settings)


def tabulate_balance(folds: pd.DataFrame) -> pd.DataFrame:
    """Show in numbers how alike the folds are."""
    from receipt_ocr.receipts.folds import balance_table

    return balance_table(folds)


def plot_balance(folds: pd.DataFrame) -> object:
    """Show in a picture (a Matplotlib figure) how alike the folds are."""
    from receipt_ocr.pictures import fold_balance

    return fold_balance.plot_balance(folds)
