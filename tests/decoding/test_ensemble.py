"""Soft voting: means by hand, weights and what is refused."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from receipt_ocr.decoding.ensemble import average_maps, vote, vote_where_known
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.receipts.letterbox import fit_frame

maps_of_one_frame = st.lists(
    arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)), min_size=1, max_size=5
)


def level(value: float) -> NDArray[np.float32]:
    return np.full((2, 3), value, dtype=np.float32)


def test_one_map_is_its_own_mean() -> None:
    only = np.array([[0.1, 0.7], [1.0, 0.0]], dtype=np.float32)
    mean = average_maps([only])
    np.testing.assert_array_equal(mean, only)
    assert mean is not only
    assert mean.dtype == np.float32


@pytest.mark.parametrize(
    ("maps", "weights", "expected"),
    [
        ([level(1)] * 4 + [level(0)], None, 0.8),  # one fold of five dissents
        ([level(0.2), level(0.6)], [3, 1], 0.3),  # (3 * 0.2 + 1 * 0.6) / 4
        ([level(0.2), level(0.6)], [0.0, 0.5], 0.6),
        ([np.full((2, 3), 51, dtype=np.uint8), level(0.6)], None, 0.4),  # 51 / 255 is 0.2
    ],
)
def test_means_by_hand(maps: list[NDArray[Any]], weights: Any, expected: float) -> None:
    np.testing.assert_allclose(average_maps(maps, weights), expected, rtol=1e-6)


def test_maps_may_come_one_at_a_time_and_stay_unchanged() -> None:
    members = [level(0.25), level(0.75)]
    np.testing.assert_array_equal(average_maps(iter(members), weights=[1, 1]), level(0.5))
    np.testing.assert_array_equal(members[0], level(0.25))


@given(maps_of_one_frame)
@settings(max_examples=50)
def test_the_mean_lies_between_the_members_in_any_order(members: list[NDArray[np.float32]]) -> None:
    mean = average_maps(members)
    assert (mean >= np.min(members, axis=0) - 1e-6).all()
    assert (mean <= np.max(members, axis=0) + 1e-6).all()
    assert mean.min() >= 0
    assert mean.max() <= 1
    np.testing.assert_allclose(average_maps(members[::-1]), mean, atol=1e-7)


@pytest.mark.parametrize(
    ("maps", "weights", "message"),
    [
        ([], None, "at least one map, got none"),
        ([], [1.0], "at least one map, got none"),
        ([level(0), np.zeros((3, 2))], None, r"map 1 must have the shape of map 0, \(2, 3\), got"),
        ([level(0), level(np.nan)], None, "map 1 must lie in"),
        ([level(0), level(0), level(1.5)], None, "map 2 must lie in"),
        ([level(0)] * 2, [1.0], "one a map, got 1 for more maps"),
        ([level(0)] * 2, [1.0] * 3, "one a map, got 3 for 2 maps"),
        ([level(0)] * 2, [1.0, -0.5], r"weights must be 0 or more .* got \[1.0, -0.5\]"),
        ([level(0)] * 2, [0.0, 0.0], "sum to more than 0"),
        ([level(0)] * 2, [1.0, np.nan], "weights must be 0 or more"),
        ([level(0)] * 2, [], "sum to more than 0"),
    ],
)
def test_malformed_votes_are_refused(
    maps: list[NDArray[Any]], weights: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        average_maps(maps, weights)


FRAME = np.diag([2.0, 2.0, 1.0])


def stored(value: int, matrix: NDArray[np.float64] = FRAME, width: int = 6) -> ProbabilityMap:
    return ProbabilityMap(np.full((2, 3), value, dtype=np.uint8), matrix, width, 4)


def member(*values: int) -> dict[str, Callable[[], ProbabilityMap]]:
    """Pages p0, p1, ... with a level map each."""
    return {f"p{index}": partial(stored, value) for index, value in enumerate(values)}


def test_members_vote_page_by_page_with_their_weights() -> None:
    voted = vote({"fold_0": member(0, 100), "fold_1": member(51, 200)})
    assert list(voted) == ["p0", "p1"]
    # (0 + 51) / 2 = 25.5 lies between two stored values, (100 + 200) / 2 = 150
    mean = voted["p1"]()
    np.testing.assert_array_equal(mean.probability, np.full((2, 3), 150))
    assert int(voted["p0"]().probability[0, 0]) in (25, 26)
    np.testing.assert_array_equal(mean.map_to_page, FRAME)
    assert (mean.width, mean.height) == (6, 4)
    voted = vote({"fold_4": member(0), "fold_1": member(200)}, weights=[3.0, 1.0])
    assert int(voted["p0"]().probability[0, 0]) == 50
    assert vote({"fold_0": {}, "fold_1": {}}) == {}


@pytest.mark.parametrize("mean", ["probability", "logit"])
@given(arrays(np.uint8, (3, 4)), st.integers(1, 5))
@settings(max_examples=30)
def test_equal_maps_vote_for_themselves(mean: Any, values: NDArray[np.uint8], count: int) -> None:
    only = ProbabilityMap(values, FRAME, 8, 6)
    voted = vote({f"fold_{fold}": {"p": lambda: only} for fold in range(count)}, mean=mean)
    np.testing.assert_array_equal(voted["p"]().probability, values)


def test_maps_are_read_when_their_page_is_asked_for() -> None:
    def fail() -> ProbabilityMap:
        raise AssertionError("read")

    voted = vote({"fold_0": member(7) | {"p1": fail}, "fold_1": member(9) | {"p1": fail}})
    assert int(voted["p0"]().probability[0, 0]) == 8


@pytest.mark.parametrize(
    ("members", "weights", "message"),
    [
        ({}, None, "at least one member, got none"),
        (
            {"fold_0": member(1), "fold_1": member(1), "fold_2": member(1, 2)},
            None,
            r"'p1' is only in one of fold_0 and fold_2 \(1 such",
        ),
        ({"fold_0": member(1)}, [1.0, 1.0], "got 2 weights for 1 members"),
        ({"fold_0": member(1)}, [-1.0], "weights must be 0 or more"),
    ],
)
def test_members_and_weights_must_fit(members: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vote(members, weights)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (stored(1, np.diag([1.2, 2.0, 1.0])), "the map of fold_3 does not fit its page"),
        (
            ProbabilityMap(np.ones((40, 40), dtype=np.uint8), FRAME, 6, 4),
            "the map of fold_3 does not fit its page .40x40 of a page of 6x4.",
        ),
        (stored(1, width=7), "the map of fold_3 is 3x2 of a page of 7x4, of another member .* 6x4"),
    ],
)
def test_maps_that_do_not_fit_the_page_are_refused(other: ProbabilityMap, message: str) -> None:
    voted = vote({"fold_0": member(1), "fold_3": {"p0": lambda: other}})
    with pytest.raises(ValueError, match=rf"page 'p0': {message}"):
        voted["p0"]()


def draw_words(size: int, shape: Literal["square", "page"]) -> ProbabilityMap:
    """Two words on a page of 300 x 200 pixels, as a perfect detector of that frame sees them."""
    frame = fit_frame(300, 200, size, shape)
    page = np.zeros((200, 300), dtype=np.uint8)
    page[40:60, 30:140] = page[120:150, 80:260] = 255
    seen = np.zeros((frame.height, frame.width), dtype=np.uint8)
    rows = slice(frame.top, frame.top + frame.inner_height)
    columns = slice(frame.left, frame.left + frame.inner_width)
    seen[rows, columns] = cv2.resize(
        page, (frame.inner_width, frame.inner_height), interpolation=cv2.INTER_AREA
    )
    return ProbabilityMap(seen, frame.map_to_page, 300, 200)


def test_members_of_other_sizes_vote_in_the_frame_with_most_pixels() -> None:
    maps = [draw_words(160, "square"), draw_words(256, "page"), draw_words(224, "square")]
    members = {f"fold_{n}": {"p": partial(lambda page: page, one)} for n, one in enumerate(maps)}
    voted = vote(members)["p"]()
    np.testing.assert_array_equal(voted.map_to_page, maps[1].map_to_page)
    assert voted.probability.shape == maps[1].probability.shape
    reading = PostprocessSettings(thresh=0.5, unclip_ratio=0.5, candidate_order="contour")
    mean, alone = (
        extract_polygons(one.probability, one.map_to_page, reading).polygons
        for one in (voted, maps[1])
    )
    assert len(mean) == len(alone) == 2
    for found, expected in zip(mean, alone, strict=True):
        np.testing.assert_allclose(found.min(axis=0), expected.min(axis=0), atol=300 / 256 + 1)
        np.testing.assert_allclose(found.max(axis=0), expected.max(axis=0), atol=300 / 256 + 1)


def test_the_mean_of_logits_is_the_odds_geometric_mean() -> None:
    probabilities, weights = [0.9, 0.6, 0.2], [2.0, 1.0, 1.0]
    odds = np.prod([(p / (1 - p)) ** (w / 4) for p, w in zip(probabilities, weights, strict=True)])
    mean = average_maps([level(p) for p in probabilities], weights, "logit")
    np.testing.assert_allclose(mean, odds / (1 + odds), atol=1 / 510)
    # Where all are as certain as a map can be, so is the mean.
    certain = average_maps([level(0.0), level(0.0)], None, "logit")
    np.testing.assert_allclose(certain, level(0.0), atol=1e-12)


def test_out_of_fold_the_members_vote_that_know_a_page() -> None:
    first, second = member(0), {"p0": partial(stored, 100), "p1": partial(stored, 200)}
    voted = vote_where_known({"a/fold_0": first, "b/fold_0": second})
    assert list(voted) == ["p0", "p1"]
    assert int(voted["p0"]().probability[0, 0]) == 50
    assert voted["p1"] is second["p1"]
    counted = vote_where_known({"a": first, "b": second}, weights={"a": 0.0, "b": 1.0})
    assert counted["p0"] is second["p0"]
    counted = vote_where_known({"a": first, "b": second}, weights={"a": 0.75, "b": 0.25})
    assert int(counted["p0"]().probability[0, 0]) == 25
