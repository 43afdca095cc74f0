"""Pictures show truth, detections and errors in their colours."""

import numpy as np
import pytest

from receipt_ocr.evaluation.cleval import score_page
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.pictures.gallery import (
    CUT,
    FALSE,
    FOUND,
    MISSED,
    TRUTH,
    contact_sheet,
    draw_page,
)

BLANK = np.full((400, 300, 3), 255, dtype=np.uint8)


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def count_near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels within a few grey values of a colour."""
    return int((np.abs(picture.astype(int) - colour).max(axis=2) <= 12).sum())


def test_a_page_without_words_is_its_faded_image_with_a_legend() -> None:
    picture = draw_page(np.zeros_like(BLANK), [], [], height=300)
    assert picture.dtype == np.uint8
    assert picture.shape[0] == 300
    # 30 % of the way from black to white.
    assert picture[0, 0].tolist() == [76, 76, 76]
    assert count_near(picture[-13:], TRUTH) > 0  # the legend's swatch


def test_truth_and_detection_are_drawn_where_they_lie() -> None:
    picture = draw_page(BLANK, [box(30, 40, 130, 80)], [box(160, 40, 260, 80)], height=929)
    # A legend row of 13 pixels of text takes 19: the page has 910, a scale of 2.275.
    top, left = round(40 * 2.275), round(30 * picture.shape[1] / 300)
    assert np.abs(picture[top, left + 60].astype(int) - TRUTH).max() <= 12
    right = round(200 * picture.shape[1] / 300)
    assert np.abs(picture[top, right].astype(int) - FOUND).max() <= 40  # a thin, smoothed line
    assert count_near(picture[:700], MISSED) == 0


def test_every_kind_of_error_has_its_mark() -> None:
    truth = [box(20, 20, 120, 40), box(20, 60, 120, 80), box(20, 100, 120, 120)]
    truth += [box(130, 100, 230, 120)]
    halves = [box(20, 60, 68, 80), box(72, 60, 120, 80)]
    detections = [*halves, box(20, 100, 230, 120), box(150, 200, 250, 220)]
    score = score_page(truth, detections)
    assert (score.missed, score.split, score.merged, score.false) == ((0,), (1,), (2,), (3,))
    picture = draw_page(BLANK, truth, detections, score, height=800)[:700]
    scale = 700 / 400  # a little more or less: regions are taken generously
    assert count_near(picture, FALSE) > 100
    assert count_near(picture, CUT) > 100
    # The missed word is filled: 45 % of vermilion over white.
    y, x = round(30 * scale * 1.08), round(70 * scale * 1.08)
    red, _, blue = picture[y, x].astype(int)
    assert red > 200 > blue


def test_without_a_score_no_error_is_marked() -> None:
    picture = draw_page(BLANK, [box(20, 20, 120, 40)], [], height=800)
    assert count_near(picture, MISSED) == count_near(picture, FALSE) == 0


def test_the_image_is_not_changed() -> None:
    image = BLANK.copy()
    truth = [box(20, 20, 120, 40)]
    draw_page(image, truth, [], score_page(truth, []), height=200)
    assert (image == 255).all()


@pytest.mark.parametrize(("image", "height"), [(BLANK[:, :, 0], 300), (BLANK, 5)])
def test_what_cannot_be_drawn_is_refused(image: np.ndarray, height: int) -> None:
    with pytest.raises(ValueError, match=r"image must be|no room"):
        draw_page(image, [], [], height=height)


def test_a_sheet_has_a_cell_for_every_tile() -> None:
    tiles = [np.full((50, 40, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet(tiles, ["a", "영수증", "c" * 90], columns=2)
    # Gaps of 8; cells of 40 x (50 + 22 for the caption), two rows of two.
    assert sheet.shape == (2 * (72 + 8) + 8, 2 * (40 + 8) + 8, 3)
    for (row, column), value in zip([(0, 0), (0, 1), (1, 0)], (10, 20, 30), strict=True):
        cell = sheet[8 + 80 * row :, 8 + 48 * column :][:50, :40]
        assert (cell == value).all()
    captions = sheet[58:80]
    assert (captions[:, 8:48] < 128).any()
    assert (captions[:, 56:96] < 128).any()
    # The long caption is cut to its cell: the empty cell beside it stays white.
    assert (sheet[88:, 52:] == 255).all()


@pytest.mark.parametrize(("tiles", "captions", "columns"), [([], [], 1), ([BLANK], [], 1)])
def test_a_sheet_needs_a_caption_for_every_tile(
    tiles: list[np.ndarray], captions: list[str], columns: int
) -> None:
    with pytest.raises(ValueError, match="a sheet needs tiles"):
        contact_sheet(tiles, captions, columns)


def test_a_real_page_is_drawn_at_the_asked_height(shared) -> None:  # type: ignore[no-untyped-def]
    from receipt_ocr.receipts.images import read_upright

    file = next(iter(sorted((shared / "data/sroie/images/test").glob("*.jpg"))))
    image = read_upright(file)
    truth = [box(40, 40, 200, 70)]
    picture = draw_page(image, truth, truth, score_page(truth, truth), height=450)
    assert picture.shape[0] == 450
    assert picture.shape[1] == pytest.approx(image.shape[1] / image.shape[0] * 400, rel=0.1)
