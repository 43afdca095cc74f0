"""The shrink and threshold maps: golden pages, hand-derived words and the masking rules."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import rectangle
from receipt_ocr.receipts.targets import Targets, TargetSettings, render_targets
from tests.masks import fill_polygons

GOLDEN_PAGES = ["005", "031", "057", "083", "109", "135", "161", "187"]


def assert_nothing_learnt(targets: Targets) -> None:
    assert not targets.shrink_map.any()
    assert not targets.threshold_mask.any()
    np.testing.assert_array_equal(targets.threshold_map, np.float32(0.3))


@pytest.mark.parametrize("page", GOLDEN_PAGES)
def test_golden_pages_are_reproduced(shared: Path, page: str) -> None:
    # No word of these pages is under 4 pixels high, so the default min_height masks none.
    with np.load(shared / "golden" / "targets" / f"{page}.npz") as golden:
        polygons = list(golden["polygons"].astype(float))
        targets = render_targets(polygons, 960, 960)
        np.testing.assert_array_equal(targets.shrink_map, golden["shrink_map"])
        np.testing.assert_allclose(targets.threshold_map, golden["threshold_map"], atol=1e-6)
        # The golden border reaches into the corners of the bounding box, the mask does not;
        # only a trace of it is lost there.
        outside = (targets.threshold_mask == 0) & (golden["threshold_map"] > 0.35)
        assert not outside.any()
    assert targets.shrink_mask.all()


def test_a_page_without_words_has_nothing_to_find_and_everything_counts() -> None:
    targets = render_targets([], 32, 64)
    assert_nothing_learnt(targets)
    assert targets.shrink_mask.all()
    for drawn in vars(targets).values():
        assert drawn.shape == (32, 64)
        assert drawn.dtype == np.float32


def test_a_rectangle_is_shrunk_and_bordered_by_hand_derived_pixels() -> None:
    # Area 4000, perimeter 280, shrink ratio 0.4: offset 4000 * 0.84 / 280 = 12 pixels exactly.
    targets = render_targets([rectangle(20, 20, 120, 60)], 80, 140)
    kernel = np.zeros((80, 140))
    kernel[32:49, 32:109] = 1
    np.testing.assert_array_equal(targets.shrink_map, kernel)
    row = targets.threshold_map[40]
    np.testing.assert_allclose(row[[20, 23, 26, 32, 40]], [0.7, 0.6, 0.5, 0.3, 0.3], atol=1e-6)
    np.testing.assert_allclose(row[[17, 14, 8, 7]], [0.6, 0.5, 0.3, 0.3], atol=1e-6)
    # At the corner the distance is to the vertex: (3, 4) pixels away are 5.
    assert targets.threshold_map[16, 17] == pytest.approx(0.3 + 0.4 * (1 - 5 / 12), abs=1e-6)
    assert targets.threshold_mask[40, 7:9].tolist() == [0, 1]
    assert targets.threshold_mask[9, 9] == 0  # rounded join: 15.6 pixels from the vertex


def test_a_dont_care_word_is_masked_and_leaves_no_other_trace() -> None:
    word = rectangle(10, 10, 60, 30)
    targets = render_targets([word], 50, 80, ignored=[True])
    assert_nothing_learnt(targets)
    np.testing.assert_array_equal(targets.shrink_mask, 1 - fill_polygons([word], 50, 80))


def test_a_tiny_word_is_masked_and_learnt_where_the_limit_allows_it() -> None:
    word = rectangle(10, 10, 60, 16)
    targets = render_targets([word], 40, 80, TargetSettings(min_height=6.5))
    assert_nothing_learnt(targets)
    np.testing.assert_array_equal(targets.shrink_mask, 1 - fill_polygons([word], 40, 80))
    learnt = render_targets([word], 40, 80, TargetSettings(min_height=6.0))
    assert learnt.shrink_map.any()
    assert learnt.shrink_mask.all()


def test_a_polygon_without_area_is_masked() -> None:
    bow_tie = np.array([[10.0, 10.0], [50.0, 30.0], [50.0, 10.0], [10.0, 30.0]])  # signed area 0
    line = np.array([[10.0, 40.0], [60.0, 40.0], [60.0, 40.0], [10.0, 40.0]])
    targets = render_targets([bow_tie, line], 60, 80, TargetSettings(min_height=0))
    assert_nothing_learnt(targets)
    assert targets.shrink_mask[20, 15] == 0  # inside the bow tie's left wing
    assert not targets.shrink_mask[40, 10:61].any()


def test_a_word_that_shrinking_leaves_nothing_of_is_masked() -> None:
    # Area 100, perimeter 104: offset 0.81 pixels, of a height of 2 nothing on whole pixels.
    targets = render_targets([rectangle(10, 10, 60, 12)], 40, 80, TargetSettings(min_height=0))
    assert_nothing_learnt(targets)
    assert not targets.shrink_mask[10:13, 10:61].any()


def test_a_self_touching_polygon_keeps_every_piece_it_shrinks_to() -> None:
    # Two squares of 30 pixels joined by a bridge 4 pixels wide that vanishes when shrunk.
    top, bottom = 10.0, 40.0
    dumbbell = np.array(
        [
            [10, top], [40, top], [40, 23], [60, 23], [60, top], [90, top],
            [90, bottom], [60, bottom], [60, 27], [40, 27], [40, bottom], [10, bottom],
        ]
    )  # fmt: skip
    targets = render_targets([dumbbell], 60, 100)
    # Area 1880, perimeter 264: both kernels stand 5.98 pixels inside their squares.
    assert targets.shrink_map[25, 25] == targets.shrink_map[25, 75] == 1
    assert targets.shrink_map[25, 50] == 0
    assert targets.shrink_mask.all()


def test_words_at_and_beyond_the_frame_are_drawn_as_far_as_they_are_inside() -> None:
    inside = render_targets([rectangle(30, 30, 130, 70)], 100, 160)
    shifted = render_targets([rectangle(-20, -10, 80, 30)], 60, 110)
    np.testing.assert_array_equal(shifted.shrink_map, inside.shrink_map[40:, 50:])
    np.testing.assert_allclose(shifted.threshold_map, inside.threshold_map[40:, 50:], atol=1e-6)
    np.testing.assert_array_equal(shifted.threshold_mask, inside.threshold_mask[40:, 50:])
    beyond = render_targets([rectangle(200, 200, 300, 240), rectangle(-90, 5, -40, 25)], 60, 110)
    assert_nothing_learnt(beyond)
    assert beyond.shrink_mask.all()


def test_the_ratio_one_keeps_the_word_whole() -> None:
    word = rectangle(10, 10, 50, 30)
    targets = render_targets([word], 40, 60, TargetSettings(shrink_ratio=1.0))
    np.testing.assert_array_equal(targets.shrink_map, fill_polygons([word], 40, 60))
    assert targets.threshold_map[10, 20] == pytest.approx(0.7)
    assert targets.threshold_map[12, 20] == pytest.approx(0.3)


def test_inputs_are_left_as_they_were() -> None:
    word = rectangle(10.7, 10.2, 50.9, 30.4)
    before = word.copy()
    targets = render_targets([word], 40, 60)
    np.testing.assert_array_equal(word, before)
    whole = render_targets([np.trunc(word)], 40, 60)
    np.testing.assert_array_equal(targets.shrink_map, whole.shrink_map)


@pytest.mark.parametrize(
    ("polygons", "ignored", "message"),
    [
        ([rectangle(0, 0, 9, 9)], [True, False], "one flag a polygon: 1, got 2"),
        ([np.zeros(8)], None, r"polygon 0 must be a \(P, 2\) polygon, got shape \(8,\)"),
        ([np.zeros((0, 2))], None, "polygon 0 must have a point or more"),
        ([rectangle(0, 0, 9, 9), np.full((4, 2), np.nan)], None, "polygon 1 must have finite"),
        ([rectangle(0, 0, 2e6, 9)], None, r"polygon 0 .* within 1,000,000 pixels, got \[20"),
    ],
)
def test_malformed_words_are_refused(
    polygons: list[NDArray[np.float64]], ignored: list[bool] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        render_targets(polygons, 20, 20, ignored=ignored)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (0, 0)])
def test_a_frame_without_a_size_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"a frame has a size in pixels, got {width} x {height}"):
        render_targets([], height, width)


def test_the_maps_do_not_share_their_pixels() -> None:
    targets = render_targets([rectangle(10, 10, 50, 30)], 40, 60)
    targets.shrink_map[:] = 9
    assert targets.shrink_mask.max() == 1
    assert targets.threshold_map.max() == np.float32(0.7)
    assert all(drawn.flags.c_contiguous for drawn in vars(targets).values())
