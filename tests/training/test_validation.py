"""The score of an epoch: every page once, padding never text, the same as page by page."""

import numpy as np
import pytest

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.polygons import transform_polygon
from receipt_ocr.receipts.letterbox import Frame, fit_frame
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.receipts.targets import render_targets
from receipt_ocr.training.validation import Judge

Pages = list[LabelledPage]


def draw_truth(page: LabelledPage) -> tuple[np.ndarray, Frame]:
    """The page's own shrink map, which decodes to its words."""
    frame = fit_frame(page.width, page.height, 320)
    words = [transform_polygon(word, frame.page_to_map) for word in page.polygons]
    return render_targets(words, frame.height, frame.width).shrink_map, frame


def test_maps_of_the_truth_score_nearly_one_and_empty_ones_nothing(training_pages: Pages) -> None:
    pages = training_pages[:2]
    judge = Judge(pages, PostprocessSettings())
    for page in pages:
        judge.add(page.name, *draw_truth(page))
    assert judge.conclude().hmean > 0.95
    probability, frame = draw_truth(pages[0])
    judge.add(pages[0].name, probability, frame)
    judge.add(pages[1].name, np.zeros_like(probability), frame)
    assert judge.conclude().hmean == pytest.approx(0.5, abs=0.03)


def test_padding_is_no_text(training_pages: Pages) -> None:
    page = training_pages[0]
    probability, frame = draw_truth(page)
    judge = Judge([page], PostprocessSettings())
    judge.add(page.name, probability.copy(), frame)
    clean = judge.conclude()
    probability[:, : frame.left] = 1.0
    judge.add(page.name, probability, frame)
    assert judge.conclude() == clean


def test_a_page_that_nobody_judged_is_named(training_pages: Pages) -> None:
    judge = Judge(training_pages[:2], PostprocessSettings())
    judge.add(training_pages[0].name, *draw_truth(training_pages[0]))
    with pytest.raises(RuntimeError, match=r"'train_1\.png' was not judged \(1 missing\)"):
        judge.conclude()
