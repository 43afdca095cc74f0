"""Views of a page: its polygons follow its pixels."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from receipt_ocr.geometry import Polygon, polygon_area, transform_polygon
from receipt_ocr.receipts.augmentation import View, cut_words, draw_view, recolour, render_view
from receipt_ocr.receipts.letterbox import resize_page
from receipt_ocr.receipts.settings import AugmentationSettings

STILL = AugmentationSettings(horizontal_flip=0.0)
LIVELY = AugmentationSettings(horizontal_flip=0.5, rotation=25.0, scale_low=0.7, scale_high=1.4)
COLOURS = AugmentationSettings(brightness=0.3, contrast=0.3, blur=0.5)
PAGE = (240, 180)


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def still_view(height: int, width: int) -> View:
    """A window on the top left of the page, as it is."""
    return View(height, width, *PAGE, np.eye(3), np.eye(3))


def paint(polygons: list[Polygon]) -> NDArray[np.uint8]:
    """A page, white where words are."""
    mask = np.zeros(PAGE, dtype=np.uint8)
    for left, top, right, bottom in (
        (*p.min(axis=0).astype(int), *p.max(axis=0).astype(int)) for p in polygons
    ):
        mask[top:bottom, left:right] = 255
    return np.repeat(mask[..., None], 3, axis=2)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(160, 160), (96, 128), (320, 288)]))
def test_polygons_follow_the_pixels_of_every_view(seed: int, window: tuple[int, int]) -> None:
    words = [box(20, 30, 100, 60), box(60, 90, 160, 130), box(30, 170, 120, 200)]
    view = draw_view(PAGE, 220, window, LIVELY, np.random.default_rng(seed))
    pixels = render_view(paint(words), view)[..., 0] > 127
    moved = [transform_polygon(word, view.page_to_view) for word in words]
    outlines = shapely.union_all([shapely.Polygon(word) for word in moved])
    y, x = np.mgrid[: window[0], : window[1]] + 0.5  # pixel centres
    inside = shapely.contains_xy(outlines, x, y)
    # Resampling may turn a pixel at an edge; every other pixel is on its side of the outline.
    wrong = shapely.points(x[pixels != inside], y[pixels != inside])
    assert (shapely.distance(outlines.boundary, wrong) < 1.0).all()
    assert len(wrong) < 0.1 * max(inside.sum(), 500)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_same_randomness_gives_the_same_view(seed: int) -> None:
    first, second = (
        draw_view(PAGE, 220, (96, 96), LIVELY, np.random.default_rng(seed)) for _ in range(2)
    )
    other = draw_view(PAGE, 220, (96, 96), LIVELY, np.random.default_rng(seed + 1))
    np.testing.assert_array_equal(first.page_to_view, second.page_to_view)
    np.testing.assert_array_equal(first.resized_to_view, second.resized_to_view)
    assert not np.array_equal(first.page_to_view, other.page_to_view)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_without_augmentation_the_page_is_resized_and_shifted_by_whole_pixels(seed: int) -> None:
    view = draw_view(PAGE, 120, (160, 160), STILL, np.random.default_rng(seed))
    # 180 x 240 to 120: 90 x 120, which lies somewhere inside the window.
    assert (view.resized_width, view.resized_height) == (90, 120)
    left, top = view.page_to_view[:2, 2].astype(int)
    assert 0 <= left <= 70 and 0 <= top <= 40
    np.testing.assert_array_equal(view.page_to_view, [[0.5, 0, left], [0, 0.5, top], [0, 0, 1]])
    image = noise(*PAGE)
    rendered = render_view(image, view)
    expected = np.zeros((160, 160, 3), dtype=np.uint8)
    expected[top : top + 120, left : left + 90] = resize_page(image, 90, 120)
    np.testing.assert_array_equal(rendered, expected)


def test_a_crop_of_a_larger_page_lies_inside_it() -> None:
    for seed in range(30):
        view = draw_view(PAGE, 240, (96, 64), STILL, np.random.default_rng(seed))
        left, top = -view.page_to_view[:2, 2].astype(int)
        assert 0 <= left <= 180 - 64 and 0 <= top <= 240 - 96
        image = noise(*PAGE)
        expected = image[top : top + 96, left : left + 64]
        np.testing.assert_array_equal(render_view(image, view), expected)


def test_a_flip_mirrors_the_pixels_exactly() -> None:
    always = AugmentationSettings(horizontal_flip=1.0)
    view = draw_view(PAGE, 240, PAGE, always, np.random.default_rng(0))
    image = noise(*PAGE)
    np.testing.assert_array_equal(render_view(image, view), image[:, ::-1])
    moved = transform_polygon(box(10, 20, 50, 40), view.page_to_view)
    np.testing.assert_allclose(moved, [[170, 20], [130, 20], [130, 40], [170, 40]])


def test_flips_come_as_often_as_asked_for() -> None:
    half = AugmentationSettings(horizontal_flip=0.5)
    views = [draw_view(PAGE, 240, PAGE, half, np.random.default_rng(s)) for s in range(200)]
    flipped = sum(view.page_to_view[0, 0] < 0 for view in views)
    assert 70 < flipped < 130


def test_words_are_cut_masked_or_gone() -> None:
    words = [
        box(10, 10, 50, 30),  # inside
        box(60, 10, 140, 30),  # half of it inside
        box(80, 50, 180, 70),  # a fifth of it inside
        box(110, 10, 140, 30),  # outside
        box(10, 80, 50, 95),  # inside, but don't-care
    ]
    view = still_view(100, 100)
    inside, masked = cut_words(words, [False] * 4 + [True], view, min_visible=0.3)
    assert [polygon_area(word) for word in inside] == [800, 800, 400, 600]
    assert masked == [False, False, True, True]
    np.testing.assert_array_equal(inside[0], words[0])
    assert inside[1].max(axis=0).tolist() == [100, 30]
    # Exactly the share asked for is enough.
    assert cut_words(words[1:2], [False], view, min_visible=0.5)[1] == [False]
    assert cut_words([], [], view, min_visible=0.3) == ([], [])


def test_cutting_words_leaves_the_page_untouched() -> None:
    word = box(60, 10, 140, 30)
    before = word.copy()
    inside, _ = cut_words([word], [False], still_view(100, 100), min_visible=0.3)
    inside[0][:] = 0
    np.testing.assert_array_equal(word, before)


def test_recolouring_depends_on_its_seed_alone() -> None:
    image = noise(64, 48)
    seeds = [recolour(image, COLOURS, seed) for seed in range(12)]
    for seed, expected in enumerate(seeds):
        np.testing.assert_array_equal(recolour(image, COLOURS, seed), expected)
    assert len({changed.tobytes() for changed in seeds}) > 4
    assert all(changed.shape == image.shape and changed.dtype == np.uint8 for changed in seeds)
    np.testing.assert_array_equal(image, noise(64, 48))


@pytest.mark.parametrize("change", ["brightness", "contrast", "blur"])
def test_each_colour_change_can_be_asked_for_alone(change: str) -> None:
    image = noise(64, 48)
    only = AugmentationSettings(**{change: 0.9})
    assert any(not np.array_equal(recolour(image, only, seed), image) for seed in range(8))
    assert recolour(image, AugmentationSettings(), 0) is image
