"""The words of a view: what becomes of those that its window cuts."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.geometry.polygons import (
    distance_outside,
    polygon_area,
    rectangle,
    transform_polygon,
)
from receipt_ocr.receipts.augmentation import View, cut_words, draw_view
from receipt_ocr.receipts.settings import AugmentationSettings
from receipt_ocr.receipts.targets import render_targets

PAGE = (240, 180)
CLIP = AugmentationSettings()
# Inside, half of it, a fifth of it, nothing of it in a window of 100 x 100; inside, but ignored.
WORDS = [(10, 10, 50, 30), (60, 10, 140, 30), (80, 50, 180, 70), (110, 10, 140, 30)]
WORDS += [(10, 80, 50, 95)]
IGNORED = [False] * 4 + [True]


def still_view(height: int = 100, width: int = 100) -> View:
    """A window on the top left of the page, as it is."""
    return View(height, width, *PAGE, np.eye(3), np.eye(3))


def test_exactly_the_share_asked_for_is_enough() -> None:
    half = [rectangle(60, 10, 140, 30)]
    changes = AugmentationSettings(min_visible=0.5)
    assert cut_words(half, [False], still_view(), changes)[1] == [False]
    assert cut_words(half, [False], still_view(100, 99), changes)[1] == [True]


@pytest.mark.parametrize(
    ("rule", "areas", "masked"),
    [
        ("clip", [800, 800, 400, 600], [False, False, True, True]),
        ("mask", [800, 800, 400, 600], [False, True, True, True]),
        ("keep", [800, 1600, 400, 600], [False, False, True, True]),
    ],
)
def test_words_are_cut_masked_kept_or_gone(
    rule: Literal["clip", "mask", "keep"], areas: list[int], masked: list[bool]
) -> None:
    words = [rectangle(*word) for word in WORDS]
    changes = AugmentationSettings(cut_words=rule, min_visible=0.3)
    inside, dont_care = cut_words(words, IGNORED, still_view(), changes)
    assert [polygon_area(word) for word in inside] == areas
    assert dont_care == masked
    np.testing.assert_array_equal(inside[0], words[0])
    assert cut_words([], [], still_view(), changes) == ([], [])


def test_the_visible_share_is_measured_in_the_pixels_of_the_view() -> None:
    # To the right the page comes nearer: the left half of the word is less than half of it.
    towards = np.array([[1.0, 0, 0], [0, 1, 0], [-0.003, 0, 1]])
    word = rectangle(0, 10, 200, 40)
    whole = transform_polygon(word, towards)
    middle = int(transform_polygon(np.array([[100.0, 10.0]]), towards)[0, 0])
    view = View(200, middle, *PAGE, towards, towards)
    shown = polygon_area(cut_words([word], [False], view, CLIP)[0][0]) / polygon_area(whole)
    assert shown < 0.4
    for share, masked in ((shown - 0.01, False), (shown + 0.01, True)):
        changes = AugmentationSettings(min_visible=share)
        assert cut_words([word], [False], view, changes)[1] == [masked]


def test_of_a_word_cut_in_two_the_smaller_piece_is_masked() -> None:
    # A U whose bottom is below the window: its arms are 30 and 20 pixels wide.
    bent = [[10, 50], [40, 50], [40, 130], [60, 130], [60, 50], [80, 50], [80, 150], [10, 150]]
    word = np.array(bent, dtype=float)
    inside, masked = cut_words([word], [False], still_view(), CLIP)
    assert [polygon_area(piece) for piece in inside] == [1500, 1000]
    assert masked == [False, True]
    # 2500 of 5400 pixels are seen, in both arms together.
    picky = AugmentationSettings(min_visible=0.47)
    assert cut_words([word], [False], still_view(), picky)[1] == [True, True]
    targets = render_targets(inside, 100, 100, ignored=masked)
    assert not targets.shrink_mask[60:90, 62:78].any()


@pytest.mark.parametrize("rule", ["clip", "mask", "keep"])
def test_a_word_never_counts_as_background(rule: Literal["clip", "mask", "keep"]) -> None:
    changes = AugmentationSettings(rotation=15, scale_high=1.3, perspective=0.1, cut_words=rule)
    word = rectangle(40, 60, 140, 160)
    for seed in range(30):
        view = draw_view(PAGE, 240, (96, 96), changes, np.random.default_rng(seed))
        inside, masked = cut_words([word], [False], view, changes)
        targets = render_targets(inside, 96, 96, ignored=masked)
        shown = render_targets([transform_polygon(word, view.page_to_view)], 96, 96)
        # Wherever the whole word's kernel is, there is a kernel, a mask, or the clipped word's rim.
        background = (targets.shrink_map == 0) & (targets.shrink_mask == 1)
        background &= targets.threshold_mask == 0
        assert (background & (shown.shrink_map == 1)).sum() <= 2, seed


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["clip", "mask"]))
def test_clipped_words_lie_in_the_window(seed: int, rule: Literal["clip", "mask"]) -> None:
    lively = AugmentationSettings(
        vertical_flip=0.5, quarter_turns=0.5, rotation=30, perspective=0.15, cut_words=rule
    )
    rng = np.random.default_rng(seed)
    view = draw_view(PAGE, 240, (96, 128), lively, rng)
    corners = rng.uniform(0, 150, (8, 2))
    words = [rectangle(x, y, x + 25, y + 60) for x, y in corners.tolist()]
    inside, masked = cut_words(words, [False] * 8, view, lively)
    assert len(inside) == len(masked)
    for word, is_masked in zip(inside, masked, strict=True):
        assert distance_outside(word, 128, 96) == 0
        on_edge = (word <= 0).any() or (word >= [128, 96]).any()
        assert is_masked or rule == "clip" or not on_edge
