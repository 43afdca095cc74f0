"""From map to polygons: the contest's golden results, order, cap and edge cases."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.decoding.candidates import Candidates, find_candidates, is_noise
from receipt_ocr.decoding.postprocess import (
    PostprocessSettings,
    extract_polygons,
    place_on_page,
    unclip_candidates,
)
from receipt_ocr.geometry.batch import PolygonBatch
from receipt_ocr.geometry.polygons import bounding_box
from tests.golden import as_settings, load_contest, read_map

IDENTITY = np.eye(3)


def blobs(*levels: float, height: int = 20) -> NDArray[np.float32]:
    """One rectangle of 60 x ``height`` pixels a level, from the top down."""
    probability = np.zeros((len(levels) * 60 + 20, 120), dtype=np.float32)
    for row, level in enumerate(levels):
        probability[20 + row * 60 : 20 + row * 60 + height, 30:90] = level
    return probability


@pytest.mark.parametrize("setting", [0, 1, 2, 3])
def test_the_contest_results_are_reproduced_exactly(shared: Path, setting: int) -> None:
    # Setting 2 (boxes) comes from cv2.minAreaRect, whose last digits may differ between
    # releases of OpenCV (with 5.0 all are equal): there a pixel is allowed.
    golden = load_contest(shared)
    settings = as_settings(golden["settings"][setting])
    pixels = 1.0 if settings.shape == "box" else 0.0
    for page in golden["pages"]:
        (expected,) = [r for r in page["results"] if r["setting"] == setting]
        page_map = read_map(shared, page)
        found = extract_polygons(page_map.probability, page_map.map_to_page, settings)
        assert len(found.polygons) == len(expected["polygons"]) == len(found.scores)
        for polygon, flat in zip(found.polygons, expected["polygons"], strict=True):
            np.testing.assert_allclose(polygon.ravel(), flat, rtol=0, atol=pixels)
        if settings.shape == "polygon":
            assert found.scores.tolist() == expected["scores"]
        else:
            np.testing.assert_allclose(found.scores, expected["scores"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", ["polygon", "box"])
def test_an_empty_map_has_no_words(shape: str) -> None:
    found = extract_polygons(blobs(0.0), IDENTITY, PostprocessSettings(shape=shape))
    assert found.polygons == ()
    assert found.scores.shape == (0,)
    assert found.scores.dtype == np.float64


def test_a_rectangle_regrows_to_a_hand_derived_word() -> None:
    # Contour pixels 30..89 x 20..39: area 59 * 19 = 1121, perimeter 156, times 2: 14.4 pixels.
    found = extract_polygons(blobs(0.75), IDENTITY)
    assert bounding_box(found.polygons[0]) == pytest.approx((16, 6, 103, 53), abs=1)
    assert found.scores.tolist() == [0.75]
    box = extract_polygons(blobs(0.75), IDENTITY, PostprocessSettings(shape="box"))
    expected = [[16, 6], [103, 6], [103, 53], [16, 53]]
    np.testing.assert_allclose(box.polygons[0], expected, atol=1)


def test_the_page_matrix_moves_and_rounds_the_polygons() -> None:
    matrix = np.array([[2.0, 0.0, 10.0], [0.0, 3.0, -60.3], [0.0, 0.0, 1.0]])
    plain = extract_polygons(blobs(0.9), IDENTITY).polygons[0]
    moved = extract_polygons(blobs(0.9), matrix).polygons[0]
    np.testing.assert_array_equal(moved, np.round(plain * (2, 3) + (10, -60.3)))
    assert moved.min() < 0  # a word may reach over the page's edge


def test_a_rounded_zero_has_no_sign() -> None:
    (placed,) = place_on_page(PolygonBatch.join([np.full((4, 2), -0.2)]), IDENTITY)
    assert not np.signbit(placed).any()


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"thresh": 0.49}, 1),
        ({"thresh": 0.5}, 0),
        ({"box_thresh": 0.5}, 1),
        ({"box_thresh": 0.51}, 0),
    ],
)
def test_text_is_greater_than_thresh_and_scores_reach_box_thresh(
    values: dict[str, Any], count: int
) -> None:
    found = extract_polygons(blobs(0.5), IDENTITY, PostprocessSettings(**values))
    assert len(found.scores) == count


def test_words_come_best_score_first_or_bottom_up() -> None:
    levels = blobs(0.75, 0.5, 1.0)
    by_score = extract_polygons(levels, IDENTITY)
    assert by_score.scores.tolist() == [1.0, 0.75, 0.5]
    by_contour = extract_polygons(levels, IDENTITY, PostprocessSettings(candidate_order="contour"))
    assert by_contour.scores.tolist() == [1.0, 0.5, 0.75]  # the contours of OpenCV, bottom up
    tops = [polygon[:, 1].min() for polygon in by_contour.polygons]
    assert tops == sorted(tops, reverse=True)


@pytest.mark.parametrize(
    ("order", "box_thresh", "kept", "warning"),
    [
        ("score", 0.25, [1.0, 0.75], "max_candidates=2 keeps 2 of the 3 candidates"),
        ("contour", 0.25, [1.0, 0.5], "max_candidates=2 keeps 2 of the 3 candidates"),
        ("score", 0.7, [1.0, 0.75], ""),  # the cap loses nothing
    ],
)
def test_the_cap_keeps_the_best_scores_or_the_lowest_contours(
    order: Any, box_thresh: float, kept: list[float], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = PostprocessSettings(max_candidates=2, box_thresh=box_thresh, candidate_order=order)
    with caplog.at_level(logging.WARNING):
        found = extract_polygons(blobs(0.75, 0.5, 1.0), IDENTITY, settings)
    assert found.scores.tolist() == kept
    assert bool(caplog.text) == bool(warning)
    assert warning in caplog.text


def test_the_contests_cap_counts_contours_that_are_no_candidates() -> None:
    speck = blobs(0.75, 1.0)
    speck[-5, 60] = 1.0  # one pixel at the bottom: the first contour, but fewer than 4 points
    by_contour = PostprocessSettings(max_candidates=2, candidate_order="contour")
    assert extract_polygons(speck, IDENTITY, by_contour).scores.tolist() == [1.0]
    by_score = PostprocessSettings(max_candidates=2)
    assert extract_polygons(speck, IDENTITY, by_score).scores.tolist() == [1.0, 0.75]


def test_specks_are_dropped_in_both_shapes() -> None:
    speck = np.zeros((40, 40), dtype=np.float32)
    speck[10, 10] = speck[20:22, 20:22] = speck[30, 5:35] = 1.0
    for shape in ("polygon", "box"):
        assert extract_polygons(speck, IDENTITY, PostprocessSettings(shape=shape)).polygons == ()
        free = PostprocessSettings(shape=shape, min_size=0.0)
        assert len(extract_polygons(speck, IDENTITY, free).polygons) <= 1


def test_a_hole_is_a_contour_whose_score_leaves_the_hole_out() -> None:
    ring = np.zeros((80, 80), dtype=np.float32)
    ring[20:60, 20:60] = 1.0
    ring[30:50, 30:50] = 0.0
    # The outer contour covers 40 * 40 pixels of which 20 * 20 are 0; the hole's own contour runs
    # on the ring's pixels around it: 22 * 22 without the corners, 20 * 20 of them 0.
    found = extract_polygons(ring, IDENTITY, PostprocessSettings(box_thresh=0.5))
    assert found.scores.tolist() == [0.75]
    candidates = find_candidates(ring, 0.29)
    assert sorted(candidates.scores)[0] == pytest.approx(80 / 480)


def test_a_candidate_whose_offset_leaves_a_hole_is_dropped() -> None:
    # A letter C whose mouth closes when it grows: the offset is an outline and a hole.
    letter = np.zeros((240, 240), dtype=np.float32)
    letter[20:220, 20:220] = 1.0
    letter[50:190, 50:220] = 0.0
    letter[50:117, 190:220] = letter[123:190, 190:220] = 1.0  # the mouth is 6 pixels wide
    settings = PostprocessSettings(unclip_ratio=0.5)
    candidates = find_candidates(letter, settings.thresh)
    assert len(candidates.kernels) == 1
    assert len(unclip_candidates(candidates, np.array([0]), 0.5)[0]) == 0
    assert extract_polygons(letter, IDENTITY, settings).polygons == ()


def test_a_kernel_without_area_does_not_regrow() -> None:
    point, square = np.full((4, 2), 7.0), np.array([[0, 0], [30, 0], [30, 30], [0, 30]])
    widths = np.full(2, np.inf)
    candidates = Candidates(PolygonBatch.join([point, square]), np.ones(2), np.arange(2), widths)
    words, origins = unclip_candidates(candidates, np.array([0, 1]), 2.0)
    assert len(words) == 1
    assert origins.tolist() == [1]


def test_maps_out_of_range_and_matrices_that_are_not_3x3_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got values from 1.5"):
        extract_polygons(np.full((4, 4), 1.5, np.float32), IDENTITY)
    with pytest.raises(ValueError, match=r"must be 3x3, got shape \(2, 3\)"):
        extract_polygons(blobs(0.9), IDENTITY[:2])


def test_maps_of_any_memory_layout_are_the_same() -> None:
    stored = np.round(blobs(0.5, 0.8) * 255).astype(np.uint8)
    expected = extract_polygons(stored, IDENTITY)
    large = np.zeros((stored.shape[0], 2 * stored.shape[1]), dtype=np.uint8)
    large[:, ::2] = stored
    locked = stored.copy()
    locked.flags.writeable = False
    big_endian = (stored.astype(np.float32) / np.float32(255)).astype(">f4")
    for same in (np.asfortranarray(stored), large[:, ::2], locked, big_endian):
        found = extract_polygons(same, IDENTITY)
        assert found.scores.tolist() == expected.scores.tolist()
        for polygon, other in zip(found.polygons, expected.polygons, strict=True):
            np.testing.assert_array_equal(polygon, other)


def test_a_map_of_more_pieces_than_any_page_has_words_is_noise() -> None:
    dots = np.zeros((64, 64), dtype=np.uint8)
    dots[::4, ::4] = 200  # 256 pieces
    assert is_noise(dots, PostprocessSettings(max_candidates=51))  # 5 times 51 is 255
    assert not is_noise(dots, PostprocessSettings(max_candidates=52))
    assert not is_noise(dots, PostprocessSettings(max_candidates=51, thresh=0.9))
    assert is_noise(dots / np.float32(255), PostprocessSettings(max_candidates=51))
