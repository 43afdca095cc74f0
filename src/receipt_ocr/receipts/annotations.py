"""Raw folder -> tables of pages, words and everything that could not be used."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from receipt_ocr.receipts.annotation_reading import SubsetReading
from receipt_ocr.receipts.raw_layout import find_subsets
from receipt_ocr.receipts.settings import IngestionSettings

__all__ = ["IngestionSettings", "Receipts", "read_receipts"]

logger = logging.getLogger(__name__)

_PAGE_TYPES = {
    "page": "str",
    "subset": "str",
    "path": "str",
    "width": "int64",
    "height": "int64",
    "orientation": "int64",
    "word_count": "int64",
    "has_truth": "bool",
}
_WORD_TYPES = {
    "page": "str",
    "subset": "str",
    "word": "str",
    "polygon": "object",
    "transcription": "str",
    "ignored": "bool",
    "clipped_points": "int64",
    "reordered": "bool",
}
_REJECTED_TYPES = {"subset": "str", "page": "str", "word": "str", "reason": "str", "detail": "str"}


@dataclass(frozen=True)
class Receipts:
    """Three tables; a page's name occurs once in ``pages``, whatever its subset.

    ``pages``: page, subset, path (POSIX, from the raw folder), width and height (upright
    pixels), orientation (EXIF), word_count, has_truth.
    ``words``: page, subset, word (its id), polygon (flat ``[x1, y1, ...]``, upright page pixels),
    transcription (missing where there is none), ignored (illegible: not scored, not learnt),
    clipped_points (moved onto the page's edge), reordered (a bow-tie whose corners were put in
    order).
    ``rejected``: subset, page, word ("" for a whole page), reason (a fixed code), detail.
    """

    pages: pd.DataFrame
    words: pd.DataFrame
    rejected: pd.DataFrame


def read_receipts(folder: Path, settings: IngestionSettings | None = None) -> Receipts:
    """Read and check everything in a raw folder of the competition's layout.

    What cannot be used goes to ``rejected`` with its reason. A test page whose image is fine
    always stays a page; its truth may be missing.

    Raises:
        FileNotFoundError: If the folder or a part of it that must be there is missing.
        ValueError: If a JSON file has another shape, or a subset is left without a page.
    """
    settings = settings or IngestionSettings()
    readings: dict[str, SubsetReading] = {}
    taken: dict[str, str] = {}
    # Backwards: where a name occurs twice, the page to be scored keeps it and the other one goes.
    for subset in reversed(find_subsets(folder)):
        reading = SubsetReading(subset, folder, settings)
        reading.read(taken)
        readings[subset.name] = reading
    ordered = list(readings.values())[::-1]
    receipts = Receipts(
        pages=_to_table([row for r in ordered for row in r.pages], _PAGE_TYPES),
        words=_to_table([row for r in ordered for row in r.words], _WORD_TYPES),
        rejected=_to_table([row for r in ordered for row in r.rejected], _REJECTED_TYPES),
    )
    _log_counts(receipts)
    _require_pages(receipts, folder, list(readings))
    return receipts


def _to_table(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _log_counts(receipts: Receipts) -> None:
    for subset in receipts.pages["subset"].unique():
        pages = receipts.pages[receipts.pages["subset"] == subset]
        words = receipts.words[receipts.words["subset"] == subset]
        logger.info(
            "%s: %d pages (%d without words), %d words, %d ignored, %d points clipped, "
            "%d bow-ties put in order%s",
            subset,
            len(pages),
            (pages["word_count"] == 0).sum(),
            len(words),
            words["ignored"].sum(),
            words["clipped_points"].sum(),
            words["reordered"].sum(),
            "" if pages["has_truth"].any() else ", truth withheld",
        )
    if receipts.rejected.empty:
        logger.info("rejected: nothing")
    for (subset, reason), rows in receipts.rejected.groupby(["subset", "reason"]):
        whole_pages = (rows["word"] == "").sum()
        logger.warning(
            "rejected in %s: %s, %d pages, %d words (first: %s %s: %s)",
            subset,
            reason,
            whole_pages,
            len(rows) - whole_pages,
            *rows.iloc[0][["page", "word", "detail"]],
        )


def _require_pages(receipts: Receipts, folder: Path, subsets: list[str]) -> None:
    for subset in subsets:
        if (receipts.pages["subset"] == subset).any():
            continue
        rejected = receipts.rejected[receipts.rejected["subset"] == subset]
        reasons = ", ".join(f"{k} {v}" for k, v in rejected["reason"].value_counts().items())
        cause = f"all were rejected ({reasons})" if reasons else "no image was found"
        first = f"; first: {rejected.iloc[0]['detail']}" if reasons else ""
        raise ValueError(f"{folder} has no usable {subset} page: {cause}{first}")
