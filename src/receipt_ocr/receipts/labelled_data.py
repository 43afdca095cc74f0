"""Every labelled page there is, of one data set or several."""

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd

from receipt_ocr.receipts.annotations import read_receipts
from receipt_ocr.receipts.samples import LabelledPage, load_pages
from receipt_ocr.receipts.settings import IngestionSettings

__all__ = ["gather_labelled", "read_further"]

log = logging.getLogger(__name__)


def gather_labelled(
    pages: pd.DataFrame, words: pd.DataFrame, folder: Path, *, with_holdout: bool
) -> list[LabelledPage]:
    """The labelled pages of a data set that may be learnt from; never those of its test.

    Args:
        pages: Table of all pages.
        words: Table of all words.
        folder: The raw data's folder.
        with_holdout: Whether the holdout pages are among them.
    """
    labelled = pages[pages["has_truth"]]
    chosen: list[LabelledPage] = []
    for subset in ("train", "holdout") if with_holdout else ("train",):
        own = labelled[labelled["subset"] == subset]
        chosen += load_pages(own, words, folder)
    return chosen


def read_further(
    folder: Path, subset: str, weight: float, settings: IngestionSettings
) -> list[LabelledPage]:
    """The labelled pages of another raw folder, each named after it.

    Args:
        folder: In the competition's layout.
        subset: ``train``, ``holdout`` or ``test``.
        weight: Of each page.
        settings: What ingestion forgives.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If no page of the subset has labels.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"final_fit.further: no folder {folder}")
    receipts = read_receipts(folder, settings)
    own = receipts.pages[(receipts.pages["subset"] == subset) & receipts.pages["has_truth"]]
    if own.empty:
        raise ValueError(
            f"final_fit.further: {folder} has no labelled page of subset {subset!r}; "
            f"it has {sorted(receipts.pages['subset'].unique())}"
        )
    if len(receipts.rejected):
        log.warning("%s: %d records cannot be used", folder, len(receipts.rejected))
    pages = load_pages(own, receipts.words, folder)
    return [
        replace(page, name=f"{folder.name}/{subset}/{page.name}", weight=weight) for page in pages
    ]
