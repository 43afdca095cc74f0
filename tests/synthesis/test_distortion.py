"""The bending and tilting of a receipt: exact both ways, the same for pixels and polygons."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.synthesis.distortion import Curl, Warp, draw_warp, follow_curve
from receipt_ocr.synthesis.settings import SynthesisSettings
from tests.masks import fill_polygons

PAPER, PAGE = (300, 400), (340, 440)
STRONG = SynthesisSettings(perspective=1.0, curl=1.0)
FLAT = SynthesisSettings(perspective=0.0, curl=0.0)
BOX = np.array([[20.0, 40.0], [120.0, 40.0], [120.0, 60.0], [20.0, 60.0]])
PRINTED = np.array([[10.0, 10.0], [290.0, 10.0], [290.0, 390.0], [10.0, 390.0]])


def _draw(seed: int, chosen: SynthesisSettings = STRONG) -> Warp:
    return draw_warp(np.random.default_rng(seed), PAPER, PAGE, PRINTED, chosen)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 300), st.floats(0, 400))
def test_undoing_the_curl_gives_every_point_back(seed: int, x: float, y: float) -> None:
    curl = _draw(seed).curl
    back = curl.undo(*curl.apply(np.array([x]), np.array([y])))
    np.testing.assert_allclose(np.ravel(back), [x, y], atol=1e-9)


def test_a_bow_lifts_the_paper_at_its_edges_only() -> None:
    curl = Curl(width=100, height=50, bow=8.0)
    x, y = curl.apply(np.array([0.0, 25.0, 50.0, 100.0]), np.zeros(4))
    # 4 * 8 * (x / 100 - 0.5)^2: 8 at the edges, 2 at a quarter, 0 in the middle.
    np.testing.assert_allclose(y, [8, 2, 0, 8])
    np.testing.assert_allclose(x, [0, 25, 50, 100])


def test_the_slope_is_the_derivative_of_the_lift() -> None:
    curl = Curl(width=100, height=50, bow=8.0, wave=3.0, phase=1.0)
    x = np.linspace(5, 95, 7)
    _, above = curl.apply(x + 1e-4, np.zeros(7))
    _, below = curl.apply(x - 1e-4, np.zeros(7))
    np.testing.assert_allclose(curl.slope(x), (above - below) / 2e-4, atol=1e-6)


def test_without_perspective_and_curl_a_page_is_the_paper_shifted() -> None:
    warp = _draw(5, FLAT)
    np.testing.assert_allclose(warp.perspective[:2, :2], np.eye(2), atol=1e-6)
    np.testing.assert_allclose(warp.perspective[2], [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_warped_mask_lies_where_the_moved_polygons_lie(seed: int) -> None:
    fine = 4  # page pixels are split, so that rounding to them does not blur the verdict
    coarse = _draw(seed)
    warp = replace(coarse, perspective=np.diag([fine, fine, 1.0]) @ coarse.perspective)
    size = (PAGE[0] * fine, PAGE[1] * fine)
    words = [BOX + np.array(shift) for shift in ((0, 0), (160, 250), (5, 320), (150, 0))]
    mask = np.zeros((PAPER[1] * 4, PAPER[0] * 4), dtype=np.uint8)
    for word in words:
        left, top, right, bottom = (4 * word[[0, 2]]).astype(int).ravel()
        mask[top:bottom, left:right] = 255
    warped = warp.warp_image(mask, 4.0, size) > 127
    filled = fill_polygons([follow_curve(word, warp) for word in words], size[1], size[0]) > 0
    assert (warped & filled).sum() / (warped | filled).sum() > 0.98


def test_four_corners_alone_would_miss_a_curled_word() -> None:
    curl = Curl(*PAPER, bow=18.0)
    long_word = np.array([[10.0, 40.0], [290.0, 40.0], [290.0, 60.0], [10.0, 60.0]])
    warp = Warp(curl, np.eye(3))
    curved = fill_polygons([follow_curve(long_word, warp)], 120, 300)
    straight = fill_polygons([warp.move(long_word)], 120, 300)
    # The middle of the word stays at y = 40 to 60; the chord of its ends lies 15.7 px lower.
    assert curved[42, 150] == 1
    assert straight[42, 150] == 0


def test_points_run_along_the_upper_side_and_back_along_the_lower() -> None:
    polygon = follow_curve(BOX, Warp(Curl(*PAPER, bow=10.0), np.eye(3)))
    half = len(polygon) // 2
    assert 8 <= len(polygon) <= 12
    upper, lower = polygon[:half], polygon[half:]
    assert (np.diff(upper[:, 0]) > 0).all()
    assert (np.diff(lower[:, 0]) < 0).all()
    np.testing.assert_allclose(upper[:, 0], lower[::-1, 0])
    np.testing.assert_allclose(lower[::-1, 1] - upper[:, 1], 20.0)  # the word's height


def test_a_flat_word_keeps_its_four_corners() -> None:
    np.testing.assert_allclose(follow_curve(BOX, Warp(Curl(*PAPER), np.eye(3))), BOX)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(340, 440), (300, 380), (500, 420)]))
def test_all_that_is_printed_stays_on_the_page(seed: int, page: tuple[int, int]) -> None:
    moved = draw_warp(np.random.default_rng(seed), PAPER, page, PRINTED, STRONG).move(PRINTED)
    assert (moved >= 2 - 1e-6).all()
    assert (moved <= np.array(page) - 2 + 1e-6).all()


def test_pixels_and_points_share_one_origin() -> None:
    image = np.zeros((40, 30), dtype=np.uint8)
    image[10, 20] = 255
    half_left = Warp(Curl(30, 40), np.array([[1.0, 0, -0.5], [0, 1, 0], [0, 0, 1]]))
    warped = half_left.warp_image(image, 1.0, (30, 40))
    # The pixel spans x from 20 to 21; moved by half a pixel it covers half of two columns.
    assert cv2.countNonZero(warped) == 2
    np.testing.assert_allclose(warped[10, 19:21], [128, 128], atol=4)
