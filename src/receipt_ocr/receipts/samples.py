"""Training samples: a labelled page, changed at random, with its targets."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.receipts.augmentation import canvas_size, cut_words, draw_view, render_view
from receipt_ocr.receipts.colours import recolour
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings
from receipt_ocr.receipts.targets import render_targets

Sample = dict[str, NDArray[np.generic] | str]


class SampleRequest(NamedTuple):
    """The page to draw a sample of, and the window to fill with it."""

    page: int
    """Position of the page."""
    height: int
    """Window, pixels."""
    width: int
    """Window, pixels."""
    visit: int = 0
    """Number of earlier samples of this page in the epoch."""


class TrainingSamples:
    """Random samples of labelled pages at one epoch; a map-style data set for any loader.

    Every random choice comes from (seed, epoch, position of the page), so a sample does not
    depend on which worker draws it, in what order, or whether training was interrupted.
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
        """Set up the samples of one epoch; ``draw`` is (seed, epoch).

        ``cache`` is the folder for decoded pages and how many MiB it may hold; None keeps none.
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
        """Draw a sample.

        Args:
            request: Which page and which window; the position of a page alone asks for the crop,
                or the square frame where there is none.

        Returns:
            ``page``, its name; ``image`` (3, H, W) uint8 RGB; and four (1, H, W) target maps:
            the threshold map in float32, the three of zeros and ones in uint8. Pixels beside the
            page count in neither mask.
        """
        if not isinstance(request, SampleRequest):
            request = SampleRequest(request, *(self.frame.crop or (self.size, self.size)))
        index, height, width, visit = request
        page = self.pages[index]
        # The first visit, for most pages the only one, is seeded without its number.
        rng = np.random.default_rng((*self.draw, index, visit) if visit else (*self.draw, index))
        page_size = (page.height, page.width)
        view = draw_view(page_size, self.size, (height, width), self.augmentation, rng)
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
