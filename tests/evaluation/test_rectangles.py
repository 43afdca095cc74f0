"""The length of a word by its shape: without SciPy's hull wherever that gives the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.evaluation.rectangles import MAX_LENGTH, guess_lengths, rectangle_aspect
from receipt_ocr.geometry.batch import PolygonBatch
from receipt_ocr.geometry.polygons import Polygon
from tests.polygon_strategies import box

EPS = np.finfo(np.float32).eps


def lengths_of(*polygons: Polygon) -> list[list[int]]:
    guessed: list[list[int]] = guess_lengths(PolygonBatch.join(list(polygons))).tolist()
    return guessed


def test_an_upright_word_has_a_length_but_its_edges_tie_as_a_false_positive() -> None:
    # 40:10 is 0.5 + 4 characters; wide and high edges give rectangles of the same area, so that
    # the length as a false positive, 1 or 4, depends on which comes first.
    assert lengths_of(box(0, 0, 40, 10)) == [[4, 0]]
    # As a word 0.5 + 1 rounds to the even 2; as a false positive 0.5 + 1 / (1 + eps) is less.
    assert lengths_of(box(0, 0, 30, 30)) == [[2, 1]]


def test_a_slanted_word_has_both_lengths() -> None:
    # A parallelogram of 100 x 20: along its slanted side the rectangle is larger.
    word = np.array([[0, 0], [100, 0], [104, 20], [4, 20]], dtype=float)
    # 104 x 20 along the long side: 0.5 + 5.2 rounds to 6, as a false positive 0.5 + 5.2 as well:
    # across over along is 20 / 104.
    assert lengths_of(word) == [[6, 6]]


def test_what_the_compiled_hull_cannot_decide_is_left_open() -> None:
    line = np.array([[0, 0], [10, 0], [20, 0], [30, 0]], dtype=float)
    assert lengths_of(line, np.zeros((4, 2)), box(0, 0, 40.5, 10)) == [[0, 0]] * 3
    assert rectangle_aspect(line) == 0.0


@st.composite
def any_polygon(draw: st.DrawFn) -> Polygon:
    largest = draw(st.sampled_from([4, 40, 4000]))
    point = st.tuples(st.integers(0, largest), st.integers(0, largest))
    points = draw(st.lists(point, min_size=4, max_size=24))
    return np.array(points, dtype=float) + draw(st.integers(0, 3000))


@settings(max_examples=300, deadline=None)
@given(any_polygon())
def test_decided_lengths_are_those_of_scipys_hull(polygon: Polygon) -> None:
    aspect = rectangle_aspect(polygon)
    inverse = 1 / (aspect + EPS)
    expected = [
        min(round(0.5 + max(aspect, inverse)), MAX_LENGTH),
        min(round(0.5 + inverse), MAX_LENGTH),
    ]
    (guessed,) = lengths_of(polygon)
    for length, right in zip(guessed, expected, strict=True):
        assert length in (0, right)


def test_most_slanted_words_are_decided() -> None:
    rng = np.random.default_rng(5)
    boxes = [box(0, 0, *rng.uniform(20, 200, 2)) + rng.normal(0, 4, (4, 2)) for _ in range(200)]
    assert np.mean(np.array(lengths_of(*np.round(boxes))) > 0) > 0.95


@pytest.mark.parametrize("copies", [0, 1, 3])
def test_every_word_of_a_batch_is_measured(copies: int) -> None:
    assert lengths_of(*[box(0, 0, 40, 10)] * copies) == [[4, 0]] * copies
