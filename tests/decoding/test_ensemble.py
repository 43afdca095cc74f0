"""Soft voting: means by hand, weights and what is refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from receipt_ocr.decoding.ensemble import average_maps

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


def test_one_dissenting_fold_moves_the_mean_by_a_fifth() -> None:
    np.testing.assert_allclose(average_maps([level(1)] * 4 + [level(0)]), 0.8, rtol=1e-6)


def test_weights_count_by_their_share() -> None:
    # (3 * 0.2 + 1 * 0.6) / 4
    np.testing.assert_allclose(average_maps([level(0.2), level(0.6)], [3, 1]), 0.3, rtol=1e-6)


def test_a_weight_of_zero_leaves_its_map_out() -> None:
    np.testing.assert_array_equal(average_maps([level(0.2), level(0.6)], [0.0, 0.5]), level(0.6))


def test_eight_bit_maps_are_their_values_over_255() -> None:
    stored = np.full((2, 3), 51, dtype=np.uint8)
    np.testing.assert_allclose(average_maps([stored, level(0.6)]), 0.4, rtol=1e-6)


def test_maps_may_come_one_at_a_time_and_stay_unchanged() -> None:
    members = [level(0.25), level(0.75)]

    def load() -> Iterator[NDArray[np.float32]]:
        yield from members

    np.testing.assert_array_equal(average_maps(load(), weights=[1, 1]), level(0.5))
    np.testing.assert_array_equal(members[0], level(0.25))


@given(maps_of_one_frame)
@settings(max_examples=50)
def test_the_mean_lies_between_the_members(members: list[NDArray[np.float32]]) -> None:
    mean = average_maps(members)
    assert (mean >= np.min(members, axis=0) - 1e-6).all()
    assert (mean <= np.max(members, axis=0) + 1e-6).all()
    assert mean.min() >= 0
    assert mean.max() <= 1


@given(maps_of_one_frame)
@settings(max_examples=30)
def test_the_order_of_members_does_not_matter(members: list[NDArray[np.float32]]) -> None:
    np.testing.assert_allclose(average_maps(members[::-1]), average_maps(members), atol=1e-7)


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
