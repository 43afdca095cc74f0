"""Probability maps in 8 bits."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import MapSource, ProbabilityMap, as_probability

EIGHT_BIT = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_values_are_the_stored_ones_over_255_and_rounding_undoes_them() -> None:
    values = ProbabilityMap(EIGHT_BIT, np.eye(3), 463, 605).values
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, EIGHT_BIT.astype(np.float32) / np.float32(255))
    assert (values[0, 0], values[15, 15]) == (0.0, 1.0)
    again = ProbabilityMap.from_probability(values, np.eye(3), 10, 20)
    np.testing.assert_array_equal(again.probability, EIGHT_BIT)


def test_probabilities_round_to_the_nearest_step() -> None:
    steps = np.array([[0.0, 0.4 / 255, 0.6 / 255], [254.4 / 255, 254.6 / 255, 1.0]])
    rounded = ProbabilityMap.from_probability(steps, np.eye(3), 10, 20)
    assert rounded.probability.tolist() == [[0, 0, 1], [254, 255, 255]]
    assert rounded.map_to_page.dtype == np.float64
    assert (rounded.width, rounded.height) == (10, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": np.zeros((4, 4), np.float32)}, r"must be \(H, W\) uint8, got float32"),
        ({"probability": np.zeros((4, 4, 1), np.uint8)}, r"got uint8 of shape \(4, 4, 1\)"),
        ({"probability": np.zeros((0, 4), np.uint8)}, r"got uint8 of shape \(0, 4\)"),
        ({"map_to_page": np.eye(2)}, "must be 3x3 and invertible"),
        ({"map_to_page": np.full((3, 3), np.nan)}, "must be 3x3 and invertible"),
        ({"map_to_page": np.diag([1.0, 0.0, 1.0])}, "must be 3x3 and invertible"),
        ({"width": 0}, "a page has a size in pixels, got 0 x 20"),
        ({"height": -1}, "a page has a size in pixels, got 10 x -1"),
    ],
)
def test_malformed_parts_are_refused(changes: dict[str, Any], message: str) -> None:
    parts = {"probability": EIGHT_BIT, "map_to_page": np.eye(3), "width": 10, "height": 20}
    with pytest.raises(ValueError, match=message):
        ProbabilityMap(**{**parts, **changes})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(4), r"the map must be \(H, W\), got shape \(4,\)"),
        (np.zeros((2, 3, 1)), r"the map must be \(H, W\), got shape \(2, 3, 1\)"),
        (np.zeros((0, 3)), r"the map must be \(H, W\), got shape \(0, 3\)"),
        (np.zeros((4, 4), np.int64), "the map must be float or uint8, got int64"),
        (np.array([[0.0, -0.1]]), r"the map must lie in \[0, 1\], got values from -0.1 to 0.0"),
        (np.array([[0.0, 255.0]]), r"the map must lie in \[0, 1\], got values from 0.0 to 255.0"),
        (np.array([[0.5, np.nan]]), r"the map must lie in \[0, 1\], got values from nan to nan"),
    ],
)
def test_only_probabilities_are_accepted(values: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_probability(values, "the map")


@pytest.mark.parametrize(
    ("text", "source", "view"),
    [
        ("d1371f", MapSource("d1371f"), "plain"),
        ("d1+x0.9,x1", MapSource("d1", "x0.9,x1"), "x0.9,x1"),
    ],
)
def test_a_source_is_a_detector_and_its_view(text: str, source: MapSource, view: str) -> None:
    assert MapSource.parse(text) == source
    assert str(source) == text
    assert source.view_name == view
