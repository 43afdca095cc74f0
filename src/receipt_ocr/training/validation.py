"""The contest's score of the validation pages, on one process or on several together."""

from collections.abc import Sequence
from typing import Any

import torch.distributed
from numpy.typing import NDArray

from receipt_ocr.decoding.candidates import is_noise
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import (
    DatasetScore,
    PageScore,
    prepare_truth,
    score_pages,
    score_prepared,
)
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.receipts.letterbox import Frame
from receipt_ocr.receipts.samples import LabelledPage

__all__ = ["Judge"]


class Judge:
    """Scores pages one by one, and at the end of an epoch all of them.

    The truth side of the score does not change: it is prepared once for all epochs.
    """

    def __init__(self, pages: Sequence[LabelledPage], settings: PostprocessSettings) -> None:
        """Prepare the truth.

        Args:
            pages: That will be judged, on this process or another.
            settings: How maps become polygons.
        """
        self._settings = settings
        self._truths = {
            page.name: prepare_truth(page.polygons, ignored=page.ignored) for page in pages
        }
        self._scores: dict[str, PageScore] = {}

    def add(self, name: str, probability: NDArray[Any], frame: Frame) -> None:
        """Decode and score a page; a map of noise scores as a page without detections.

        Args:
            name: Of the page.
            probability: (height, width) text probability in the frame, changed in place: what
                lies beside the page is no text.
            frame: Of the page.
        """
        frame.blank_padding(probability)
        page = ProbabilityMap.from_probability(
            probability, frame.map_to_page, frame.page_width, frame.page_height
        )
        polygons: Sequence[Polygon] = ()
        if not is_noise(page.probability, self._settings):
            found = extract_polygons(page.probability, page.map_to_page, self._settings)
            polygons = found.polygons
        self._scores[name] = score_prepared(self._truths[name], polygons)

    def conclude(self) -> DatasetScore:
        """The score of all pages that were added since the last time, on all processes.

        Raises:
            RuntimeError: If a page was judged by no process.
        """
        scores = {name: score for part in _gather(self._scores) for name, score in part.items()}
        self._scores = {}
        if missing := self._truths.keys() - scores.keys():
            raise RuntimeError(f"page {min(missing)!r} was not judged ({len(missing)} missing)")
        # In the order of the pages, so that the mean does not depend on who judged which.
        return score_pages([scores[name] for name in self._truths])


def _gather(scores: dict[str, PageScore]) -> list[dict[str, PageScore]]:
    """The scores of every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [scores]
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, scores)
    return parts
