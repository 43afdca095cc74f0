"""The validation scorer: the contest's score of an epoch, on one process or on several."""

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
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import Frame


class ValidationScorer:
    """Decodes and scores validation pages one by one, and averages them when an epoch ends.

    The truth does not change between epochs: its side of the score is prepared once.
    """

    def __init__(self, pages: Sequence[LabelledPage], settings: PostprocessSettings) -> None:
        """Prepare the truth of all validation pages, whichever process scores them."""
        self._settings = settings
        self._truths = {
            page.name: prepare_truth(page.polygons, ignored=page.ignored) for page in pages
        }
        self._scores: dict[str, PageScore] = {}

    def decode(self, probability: NDArray[Any], frame: Frame) -> Sequence[Polygon]:
        """Find the words in a map (height, width), as (P, 2) polygons in page pixels.

        The map is changed in place: what lies beside the page is no text.
        """
        frame.blank_padding(probability)
        page = ProbabilityMap.from_probability(
            probability, frame.map_to_page, frame.page_width, frame.page_height
        )
        # An untrained network's map falls into thousands of specks: decoding them would take
        # longer than the epoch, to find nothing.
        if is_noise(page.probability, self._settings):
            return ()
        return extract_polygons(page.probability, page.map_to_page, self._settings).polygons

    def add(self, name: str, polygons: Sequence[Polygon]) -> None:
        """Score the words that were found on a page."""
        self._scores[name] = score_prepared(self._truths[name], polygons)

    def conclude(self) -> DatasetScore:
        """Average all pages that were added since the last time, on all processes."""
        scores = {name: score for part in _gather(self._scores) for name, score in part.items()}
        self._scores = {}
        if missing := self._truths.keys() - scores.keys():
            raise RuntimeError(f"page {min(missing)!r} was not scored ({len(missing)} missing)")
        # In the order of the pages, so that the mean does not depend on who scored which.
        return score_pages([scores[name] for name in self._truths])


def _gather(scores: dict[str, PageScore]) -> list[dict[str, PageScore]]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [scores]
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, scores)
    return parts
