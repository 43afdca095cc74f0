"""Views of a page: its polygons follow its pixels."""

import itertools

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from receipt_ocr.geometry.polygons import (
    rectangle,
    transform_polygon,
)
from receipt_ocr.receipts.augmentation import (
    View,
    canvas_size,
    draw_view,
    render_view,
)
from receipt_ocr.receipts.letterbox import resize_page
from receipt_ocr.receipts.settings import AugmentationSettings

PAGE = (240, 180)
STILL = {"horizontal_flip": 0.0}
CHANGES = {
    "still": AugmentationSettings(**STILL),
    "flips": AugmentationSettings(horizontal_flip=0.5, vertical_flip=0.5),
    "quarters": AugmentationSettings(quarter_turns=1.0),
    "rotation": AugmentationSettings(**STILL, rotation=25.0),
    "scale": AugmentationSettings(**STILL, scale_low=0.5, scale_high=1.4),
    "perspective": AugmentationSettings(**STILL, perspective=0.15),
    "all": AugmentationSettings(
        **{"vertical_flip": 0.5, "quarter_turns": 0.5, "rotation": 25.0},
        **{"scale_low": 0.7, "scale_high": 1.4, "perspective": 0.15},
    ),
}
EXACT = AugmentationSettings(horizontal_flip=0.5, vertical_flip=0.5, quarter_turns=0.75)
WINDOWS = [(160, 160), (96, 128), (320, 288)]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def draw(
    changes: AugmentationSettings, seed: int, window: tuple[int, int] = PAGE, size: int = 240
) -> View:
    return draw_view(PAGE, size, window, changes, np.random.default_rng(seed))


def render(page: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    return render_view(resize_page(page, view.canvas_width, view.canvas_height), view)


def inside(outline: shapely.Geometry, height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels of a window have their centre in an outline."""
    y, x = np.mgrid[:height, :width] + 0.5
    within: NDArray[np.bool_] = shapely.contains_xy(outline, x, y)
    return within


@pytest.mark.parametrize("name", CHANGES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.sampled_from(WINDOWS))
def test_a_dark_word_is_rendered_where_its_polygon_says(
    name: str, seed: int, window: tuple[int, int]
) -> None:
    page = np.full((*PAGE, 3), 255, dtype=np.uint8)
    page[60:180, 30:120] = 0
    view = draw(CHANGES[name], seed, window, size=300)
    word = shapely.Polygon(transform_polygon(rectangle(30, 60, 120, 180), view.page_to_view))
    # Beside the page all is dark, and at its edge the page is mixed with that.
    on_page = inside(shapely.Polygon(view.page_corners).buffer(-2.0), *window)
    dark = (render(page, view)[..., 0] < 128) & on_page
    expected = inside(word, *window) & on_page
    both, either = (dark & expected).sum(), (dark | expected).sum()
    assert either < 2000 or both / either > 0.95
    y, x = np.nonzero(dark != expected)
    wrong = shapely.points(x + 0.5, y + 0.5)
    assert (shapely.distance(word.boundary, wrong) < 1.0).all()


@pytest.mark.parametrize("name", CHANGES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.sampled_from(WINDOWS))
def test_the_mask_of_the_page_agrees_with_a_white_page(
    name: str, seed: int, window: tuple[int, int]
) -> None:
    view = draw(CHANGES[name], seed, window)
    mask = view.page_mask()
    assert mask.shape == window and mask.dtype == np.uint8
    outline = shapely.Polygon(view.page_corners)
    np.testing.assert_array_equal(mask, inside(outline, *window))
    white = render(np.full((*PAGE, 3), 255, dtype=np.uint8), view)[..., 0]
    if name in {"still", "flips", "quarters"}:
        np.testing.assert_array_equal(mask * np.uint8(255), white)
    # Along the edge the page is mixed with what is beside it, over a pixel of the page.
    assert (white[inside(outline.buffer(-2.0), *window)] == 255).all()
    assert (white[~inside(outline.buffer(2.0), *window)] == 0).all()


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_randomness_gives_the_same_view(name: str) -> None:
    first, second = (draw(CHANGES[name], 5, (96, 96)) for _ in range(2))
    np.testing.assert_array_equal(first.page_to_view, second.page_to_view)
    others = [draw(CHANGES[name], seed, (96, 96)).page_to_view for seed in range(8)]
    assert len({other.tobytes() for other in others}) > 4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_without_augmentation_the_page_is_resized_and_shifted_by_whole_pixels(seed: int) -> None:
    view = draw(CHANGES["still"], seed, (160, 160), size=122)
    # 180 x 240 to 122: 91.5 x 122, both truncated, which lies somewhere inside the window.
    assert (view.canvas_width, view.canvas_height) == (91, 122)
    left, top = view.page_to_view[:2, 2].astype(int)
    assert 0 <= left <= 69 and 0 <= top <= 38
    scales = [[91 / 180, 0, left], [0, 122 / 240, top], [0, 0, 1]]
    np.testing.assert_array_equal(view.page_to_view, scales)
    image = noise(*PAGE)
    expected = np.zeros((160, 160, 3), dtype=np.uint8)
    expected[top : top + 122, left : left + 91] = resize_page(image, 91, 122)
    np.testing.assert_array_equal(render(image, view), expected)


def test_a_crop_of_a_larger_page_lies_inside_it_and_has_pixels_of_its_own() -> None:
    image = noise(*PAGE)
    for seed in range(30):
        view = draw(CHANGES["still"], seed, (96, 64))
        left, top = -view.page_to_view[:2, 2].astype(int)
        assert 0 <= left <= 180 - 64 and 0 <= top <= 240 - 96
        render_view(image, view)[:] = 0
    np.testing.assert_array_equal(image, noise(*PAGE))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.sampled_from([*WINDOWS, (40, 300), (180, 240)]))
def test_mirrors_and_quarter_turns_copy_every_pixel_to_its_place(
    seed: int, window: tuple[int, int]
) -> None:
    view = draw(EXACT, seed, window)
    image = noise(*PAGE)
    rows, columns = np.indices(PAGE).reshape(2, -1)
    centres = np.stack([columns + 0.5, rows + 0.5], axis=1)
    x, y = np.floor(transform_polygon(centres, view.canvas_to_view)).astype(int).T
    shown = (x >= 0) & (y >= 0) & (x < window[1]) & (y < window[0])
    expected = np.zeros((*window, 3), dtype=np.uint8)
    expected[y[shown], x[shown]] = image[rows[shown], columns[shown]]
    np.testing.assert_array_equal(render_view(image, view), expected)
    assert view.page_mask().sum() == shown.sum()


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip", "quarter_turns"])
def test_each_happens_as_often_as_asked_for(name: str) -> None:
    changes = AugmentationSettings(**{**STILL, name: 0.25})
    views = [draw(changes, seed) for seed in range(300)]
    changed = sum(not np.array_equal(view.canvas_to_view[:2, :2], np.eye(2)) for view in views)
    assert 45 < changed < 105


def test_a_view_is_as_large_as_its_scale_says() -> None:
    changes = AugmentationSettings(**STILL, scale_low=0.5, scale_high=2.0)
    assert canvas_size(PAGE, 120, changes) == (240, 180)
    lengths = [np.ptp(draw(changes, seed, size=120).page_corners[:, 1]) for seed in range(100)]
    assert 60 <= min(lengths) < 75 and 225 < max(lengths) <= 240


def test_strokes_survive_a_view_at_a_fraction_of_the_canvas() -> None:
    # A line a pixel wide every eight pixels: sampled at a quarter, some would be gone.
    canvas = np.zeros((*PAGE, 3), dtype=np.uint8)
    canvas[:, ::8] = 255
    for shift in range(4):
        matrix = np.array([[0.25, 0.0, shift / 4], [0.0, 0.25, 0.0], [0.0, 0.0, 1.0]])
        view = View(60, 45, *PAGE, matrix, matrix)
        row = render_view(canvas, view)[30, 2:-2, 0].astype(float)
        assert 20 < row.mean() < 45  # an eighth of 255 is 32
        assert all(row[k : k + 2].max() > 25 for k in range(len(row) - 1))


def test_no_perspective_that_is_allowed_reaches_the_horizon() -> None:
    largest = 0.15
    with pytest.raises(ValidationError, match="perspective"):
        AugmentationSettings(perspective=largest + 0.01)
    page = rectangle(0, 0, 1, 1).astype(np.float32)
    # The corners are convex, and how far away a point is, is monotonous along an edge; both
    # depend on each shift monotonously: the worst is among the extremes.
    for shifts in itertools.product((-largest, largest), repeat=8):
        moved = page + np.reshape(shifts, (4, 2)).astype(np.float32)
        edges = np.roll(moved, -1, axis=0) - moved
        following = np.roll(edges, -1, axis=0)
        assert (edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0.3).all()
        matrix = cv2.getPerspectiveTransform(page, moved)
        depth = np.column_stack([page, np.ones(4)]) @ matrix[2]
        assert depth.min() > 0
        assert depth.max() / depth.min() < 4.001


def test_a_page_of_another_size_is_refused() -> None:
    view = draw(CHANGES["still"], 0)
    with pytest.raises(ValueError, match="page of 180x240 pixels, the image has 100x50"):
        render_view(noise(50, 100), view)
