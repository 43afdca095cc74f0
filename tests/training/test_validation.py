"""The score of an epoch: every page once, padding never text, the same as page by page."""

import numpy as np
import pytest

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.polygons import transform_polygon
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import Frame, fit_frame
from receipt_ocr.receipts.targets import render_targets
from receipt_ocr.training.validation import ValidationScorer

Pages = list[LabelledPage]


def draw_truth(page: LabelledPage) -> tuple[np.ndarray, Frame]:
    """Draw the page's own shrink map, which decodes to its words."""
    frame = fit_frame(page.width, page.height, 320)
    words = [transform_polygon(word, frame.page_to_map) for word in page.polygons]
    return render_targets(words, frame.height, frame.width).shrink_map, frame


def test_maps_of_the_truth_score_nearly_one_and_empty_ones_nothing(training_pages: Pages) -> None:
    pages = training_pages[:2]
    scorer = ValidationScorer(pages, PostprocessSettings())
    for page in pages:
        scorer.add(page.name, scorer.decode(*draw_truth(page)))
    assert scorer.conclude().hmean > 0.95
    probability, frame = draw_truth(pages[0])
    scorer.add(pages[0].name, scorer.decode(probability, frame))
    scorer.add(pages[1].name, scorer.decode(np.zeros_like(probability), frame))
    assert scorer.conclude().hmean == pytest.approx(0.5, abs=0.03)


def test_padding_is_no_text(training_pages: Pages) -> None:
    page = training_pages[0]
    probability, frame = draw_truth(page)
    scorer = ValidationScorer([page], PostprocessSettings())
    clean = scorer.decode(probability.copy(), frame)
    probability[:, : frame.left] = 1.0
    for word, expected in zip(scorer.decode(probability, frame), clean, strict=True):
        np.testing.assert_array_equal(word, expected)


def test_a_page_that_nobody_scored_is_named(training_pages: Pages) -> None:
    scorer = ValidationScorer(training_pages[:2], PostprocessSettings())
    scorer.add(training_pages[0].name, ())
    with pytest.raises(RuntimeError, match=r"'train_1\.png' was not scored \(1 missing\)"):
        scorer.conclude()
