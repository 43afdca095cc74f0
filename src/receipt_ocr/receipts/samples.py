"""Labelled pages, and the training samples made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import Polygon, as_polygon
from receipt_ocr.receipts.augmentation import (
    canvas_size,
    cut_words,
    draw_view,
    recolour,
    render_view,
)
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings
from receipt_ocr.receipts.targets import render_targets

__all__ = ["LabelledPage", "Sample", "SampleRequest", "TrainingSamples", "load_pages"]

Sample = dict[str, NDArray[np.generic] | str]


@dataclass(frozen=True)
class LabelledPage:
    """One page and its words.

    Attributes:
        name: File name, the page's identity.
        path: Of the image.
        width: Upright, pixels.
        height: Upright, pixels.
        polygons: One a word, (P, 2) upright page pixels.
        ignored: Which words are don't-care.
        weight: How often an epoch of training visits the page, on average.
    """

    name: str
    path: Path
    width: int
    height: int
    polygons: list[Polygon]
    ignored: list[bool]
    weight: float = 1.0


def load_pages(
    pages: pd.DataFrame, words: pd.DataFrame, folder: Path, names: Sequence[str] | None = None
) -> list[LabelledPage]:
    """Labelled pages from the tables of one subset.

    Args:
        pages: Rows of the pages table, of one subset.
        words: Rows of the words table (of any subset).
        folder: The raw data's folder, which the pages' paths are relative to.
        names: Only these pages, in this order; None takes all, in the table's order.

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
    return [_label(rows[name], by_page.get(name), folder) for name in wanted]


class SampleRequest(NamedTuple):
    """Which page a sample is to be drawn of, and the window it must fill."""

    page: int
    """Position of the page."""
    height: int
    """Of the window, pixels."""
    width: int
    """Of the window, pixels."""
    visit: int = 0
    """How many samples of the page the epoch has had before this one."""


class TrainingSamples:
    """Random samples of labelled pages at one epoch; a map-style data set for any loader.

    Every random choice comes from (seed, epoch, position of the page), so that a sample does not
    depend on who draws it, in which order or after which interruption.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the parts of a recipe
        self,
        pages: Sequence[LabelledPage],
        frame: FrameSettings,
        augmentation: AugmentationSettings,
        targets: TargetSettings,
        draw: tuple[int, int],
        cache: tuple[Path, int] | None = None,
    ) -> None:
        """Pages at one epoch.

        Args:
            pages: To draw samples of.
            frame: Size of the pages and of the window.
            augmentation: Ranges of the random changes.
            targets: How the maps to learn are drawn.
            draw: (seed, epoch).
            cache: Folder for decoded pages and how many MiB it may hold; None decodes anew.
        """
        self.pages = pages
        self.frame = frame
        self.augmentation = augmentation
        self.targets = targets
        self.draw = draw
        self.size = frame.size_at(draw[1])
        self.canvases = [
            canvas_size((page.height, page.width), self.size, augmentation) for page in pages
        ]
        folder, limit = cache or (None, 0)
        self.cache = PageCache.for_stage(folder, self.size, self.canvases, limit)

    def __len__(self) -> int:
        """Number of pages."""
        return len(self.pages)

    def __getitem__(self, request: int | SampleRequest) -> Sample:
        """A sample of a page.

        Args:
            request: Which page, and the window that shows it; a position alone asks for the
                crop or the square frame.

        Returns:
            ``page``, its name; ``image`` (3, H, W) uint8 RGB; and four (1, H, W) target maps,
            float32 the threshold map and uint8 those of zeros and ones. Padding counts in none
            of the masks.
        """
        if not isinstance(request, SampleRequest):
            request = SampleRequest(request, *(self.frame.crop or (self.size, self.size)))
        index, height, width, visit = request
        page = self.pages[index]
        rng = np.random.default_rng((*self.draw, index, visit) if visit else (*self.draw, index))
        view = draw_view(
            (page.height, page.width), self.size, (height, width), self.augmentation, rng
        )
        canvas = self.cache.load(index, page.path, self.canvases[index])
        image = render_view(canvas, view)
        image = recolour(image, self.augmentation, int(rng.integers(2**31)))
        polygons, ignored = cut_words(page.polygons, page.ignored, view, self.augmentation)
        targets = render_targets(
            polygons, height, width, self.targets, ignored=ignored, mask_type=np.uint8
        )
        visible = view.page_mask()
        return {
            "page": page.name,
            "image": np.ascontiguousarray(image.transpose(2, 0, 1)),
            "shrink_map": targets.shrink_map[None],
            "shrink_mask": (targets.shrink_mask * visible)[None],
            "threshold_map": targets.threshold_map[None],
            "threshold_mask": (targets.threshold_mask * visible)[None],
        }


def _label(row, words: pd.DataFrame | None, folder: Path) -> LabelledPage:  # type: ignore[no-untyped-def]
    polygons = [] if words is None else [as_polygon(flat) for flat in words["polygon"]]
    ignored = [] if words is None else [bool(value) for value in words["ignored"]]
    return LabelledPage(
        row.page, folder / row.path, int(row.width), int(row.height), polygons, ignored
    )
