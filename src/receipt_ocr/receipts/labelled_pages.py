"""Pages with their labels, from the tables of one data set or from further raw folders."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from receipt_ocr.geometry.polygons import Polygon, as_polygon
from receipt_ocr.receipts.annotations import read_receipts
from receipt_ocr.receipts.settings import IngestionSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledPage:
    """One page and its words."""

    name: str
    """File name, the page's identity."""
    path: Path
    """The image file."""
    width: int
    """Upright page, pixels."""
    height: int
    """Upright page, pixels."""
    polygons: list[Polygon]
    """One for each word, (P, 2) upright page pixels."""
    ignored: list[bool]
    """Which words are don't-care."""
    weight: float = 1.0
    """Mean number of times that an epoch of training visits the page."""


def load_pages(
    pages: pd.DataFrame, words: pd.DataFrame, folder: Path, names: Sequence[str] | None = None
) -> list[LabelledPage]:
    """Join the page rows of one subset and the words of any to labelled pages.

    Paths are relative to the raw folder. ``names`` takes only these pages, in this order.

    Raises:
        ValueError: If a name is not in the table or the rows are of several subsets.
    """
    if pages["subset"].nunique() > 1:
        raise ValueError(f"pages must be of one subset, got {sorted(pages['subset'].unique())}")
    rows = {str(row.page): row for row in pages.itertuples()}
    wanted = list(rows) if names is None else list(names)
    if missing := [name for name in wanted if name not in rows]:
        raise ValueError(f"page {missing[0]!r} is not in the pages table ({len(missing)} missing)")
    own = words[words["subset"].isin(pages["subset"].unique())]
    by_page = {str(name): group for name, group in own.groupby("page", sort=False)}
    no_words = own.iloc[:0]
    return [_label(rows[name], by_page.get(name, no_words), folder) for name in wanted]


def gather_labelled(
    pages: pd.DataFrame, words: pd.DataFrame, folder: Path, *, with_holdout: bool
) -> list[LabelledPage]:
    """Load all labelled pages of a data set that may be learnt from; never its test pages."""
    labelled = pages[pages["has_truth"]]
    subsets = ("train", "holdout") if with_holdout else ("train",)
    tables = (labelled[labelled["subset"] == subset] for subset in subsets)
    return [page for table in tables for page in load_pages(table, words, folder)]


def read_further(
    folder: Path, subset: str, weight: float, settings: IngestionSettings
) -> list[LabelledPage]:
    """Read the labelled pages of another raw folder; their names begin with the folder's.

    An epoch visits each page ``weight`` times on average.

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
    # The names of two data sets may be the same.
    return [
        replace(page, name=f"{folder.name}/{subset}/{page.name}", weight=weight)
        for page in load_pages(own, receipts.words, folder)
    ]


def _label(row, words: pd.DataFrame, folder: Path) -> LabelledPage:  # type: ignore[no-untyped-def]
    polygons = [as_polygon(flat) for flat in words["polygon"]]
    ignored = [bool(value) for value in words["ignored"]]
    return LabelledPage(
        row.page, folder / row.path, int(row.width), int(row.height), polygons, ignored
    )
