"""Synthetic pages: by seed, whole, legible, and labelled where the ink is."""

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from receipt_ocr.synthesis.dataset import (
    Orientation,
    SyntheticPage,
    draw_receipt,
    draw_receipts,
    encode_receipt,
)
from receipt_ocr.synthesis.settings import SynthesisSettings
from tests.masks import fill_polygons

DENSE = SynthesisSettings(
    width_low=600, width_high=660, height_low=1200, height_high=1240, words_low=150,
    words_high=160, perspective=1.0, curl=1.0, shadow=1.0,
)  # fmt: skip
CLEAR = SynthesisSettings(shadow=0.0, blur=0.0, noise=0.0, curl=0.8, perspective=0.8)
DEMO = SynthesisSettings(train=3, holdout=2, test=2)


@pytest.fixture(scope="module")
def pages() -> list[SyntheticPage]:
    return list(draw_receipts(DEMO))


def _find_ink(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels clearly darker than what surrounds them: print, hardly ever the table's grain."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int16)
    paper = cv2.morphologyEx(grey.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    return (paper.astype(np.int16) - grey) > 60


def test_one_seed_gives_the_same_bytes_and_another_other_ones(pages: list[SyntheticPage]) -> None:
    assert list(draw_receipts(DEMO)) == pages
    reseeded = list(draw_receipts(DEMO.model_copy(update={"seed": 8})))
    assert len({page.jpeg for page in (*pages, *reseeded)}) == 2 * 7


def test_a_longer_set_begins_with_the_shorter_one(pages: list[SyntheticPage]) -> None:
    more = DEMO.model_copy(update={"train": 4})
    known = {page.name: page.jpeg for page in draw_receipts(more)}
    assert {page.name: page.jpeg for page in pages}.items() <= known.items()


def test_pages_are_named_and_laid_out_as_the_competition_has_them(
    pages: list[SyntheticPage],
) -> None:
    assert [page.name for page in pages if page.subset == "holdout"] == [
        "synthetic_holdout_0001.jpg",
        "synthetic_holdout_0002.jpg",
    ]
    assert [page.subset for page in pages] == ["train"] * 3 + ["holdout"] * 2 + ["test"] * 2
    word = pages[0].words["0001"]
    assert set(word) == {"points", "transcription"}
    points = np.array(word["points"])
    np.testing.assert_array_equal(points, np.round(points, 2))
    assert list(pages[0].words) == [f"{n:04d}" for n in range(1, len(pages[0].words) + 1)]


def test_drawing_is_lazy() -> None:
    endless = SynthesisSettings(train=10**9)
    assert next(draw_receipts(endless)).name == "synthetic_train_0001.jpg"


@pytest.mark.parametrize("index", range(6))
def test_words_stay_on_the_page_apart_and_in_number(index: int) -> None:
    settings = SynthesisSettings(perspective=1.0, curl=1.0)
    receipt = draw_receipt(settings, index)
    height, width = receipt.image.shape[:2]
    assert 304 <= width <= 336
    assert 432 <= height <= 464
    assert 15 <= len(receipt.words) <= 40
    shapes = [shapely.Polygon(word.polygon) for word in receipt.words]
    assert all(shape.is_valid for shape in shapes)
    assert all(shapely.box(1, 1, width - 1, height - 1).contains(shape) for shape in shapes)
    assert not any(a.intersects(b) for a, b in combinations(shapes, 2))


def test_a_dense_page_has_150_words_and_more() -> None:
    receipt = draw_receipt(DENSE, 0)
    height, width = receipt.image.shape[:2]
    assert 150 <= len(receipt.words) <= 160
    assert all((word.polygon > 0).all() for word in receipt.words)
    assert all((word.polygon < [width, height]).all() for word in receipt.words)
    sides = [np.linalg.norm(word.polygon[0] - word.polygon[-1]) for word in receipt.words]
    assert min(sides) >= 9


@pytest.mark.parametrize("index", range(4))
def test_labels_cover_the_ink_of_words_and_only_that(index: int) -> None:
    receipt = draw_receipt(CLEAR, index)
    height, width = receipt.image.shape[:2]
    ink = _find_ink(receipt.image)
    polygons = [word.polygon for word in receipt.words]
    for polygon in polygons:
        inside = fill_polygons([polygon], height, width) > 0
        assert ink[inside].mean() > 0.08
    filled = fill_polygons(polygons, height, width)
    rim = cv2.dilate(filled, np.ones((3, 3), np.uint8)) > filled
    # The margin keeps ink off the outline: next to it lie only rules and codes, if anything.
    assert ink[rim].mean() < 0.005


def test_rules_and_codes_leave_ink_outside_the_labels() -> None:
    receipt = draw_receipt(CLEAR, 0)
    height, width = receipt.image.shape[:2]
    corners = np.concatenate([word.polygon for word in receipt.words]).astype(int)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    labelled = fill_polygons([word.polygon for word in receipt.words], height, width) > 0
    unlabelled = _find_ink(receipt.image) & ~labelled
    # Three rules between the first and the last word, each most of the words' width.
    assert unlabelled[top:bottom, left:right].sum() > 1.0 * (right - left)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_page_is_set_upright_by_its_readers(
    orientation: Orientation, tmp_path: Path
) -> None:
    receipt = draw_receipt(CLEAR, 1)
    path = tmp_path / "page.jpg"
    path.write_bytes(encode_receipt(receipt, quality=95, orientation=orientation))
    height, width = receipt.image.shape[:2]
    with Image.open(path) as stored:
        assert stored.size == ((height, width) if orientation in (6, 8) else (width, height))
        assert stored.getexif().get(0x0112, 1) == orientation
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert read.shape == receipt.image.shape
    assert np.abs(read.astype(int) - receipt.image.astype(int)).mean() < 6
    ink = _find_ink(read)
    labelled = fill_polygons([word.polygon for word in receipt.words], height, width) > 0
    assert ink[labelled].mean() > 0.15


def test_the_exif_share_decides_how_many_pages_are_turned() -> None:
    for share, expected in ((0.0, {False}), (1.0, {True})):
        pages = draw_receipts(DEMO.model_copy(update={"exif_share": share}))
        turned = {b"Exif\x00\x00" in page.jpeg[:64] for page in pages}
        assert turned == expected


def test_each_strength_changes_the_page() -> None:
    plain = SynthesisSettings(perspective=0, curl=0, shadow=0, blur=0, noise=0)
    still = draw_receipt(plain, 0).image
    for name in ("perspective", "curl", "shadow", "blur", "noise"):
        other = draw_receipt(plain.model_copy(update={name: 1.0}), 0).image
        assert np.abs(other.astype(int) - still.astype(int)).mean() > 0.5, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words_low": 30, "words_high": 20}, "words_low must not exceed words_high, got 30 > 20"),
        ({"width_low": 200, "width_high": 200}, "need pages of 297 x 387 px or more"),
        ({"words_high": 200}, "200 words of 9 px need pages"),
        ({"min_text_height": 8}, "greater than or equal to 9"),
        ({"curl": 1.5}, "less than or equal to 1"),
        ({"quality_high": 100}, "less than or equal to 95"),
        ({"colour": True}, "Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SynthesisSettings.model_validate(wrong)


def test_the_smallest_page_allowed_holds_the_most_words_allowed() -> None:
    tight = SynthesisSettings(
        width_low=297, width_high=297, height_low=387, height_high=387, words_low=40,
        perspective=1.0, curl=1.0,
    )  # fmt: skip
    for index in range(5):
        assert len(draw_receipt(tight, index).words) == 40


def test_words_that_cannot_fit_are_refused_with_the_size_of_the_page() -> None:
    # A copy with changes skips the validation that would have refused these settings.
    crowded = SynthesisSettings().model_copy(update={"words_low": 90, "words_high": 90})
    with pytest.raises(ValueError, match=r"90 words of 9 px do not fit on a page of \d+ x \d+"):
        draw_receipt(crowded, 0)
