"""Shared areas: by hand, and against shapely for any two simple polygons."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from receipt_ocr.evaluation.areas import FlatPolygons, are_simple, measure_shared_areas
from receipt_ocr.geometry.polygons import Polygon
from tests.polygon_strategies import box


def moved(polygon: Polygon, right: float, down: float) -> Polygon:
    return polygon + np.array([right, down])


SQUARE = box(0, 0, 10, 10)
DIAMOND = np.array([[5, -5], [15, 5], [5, 15], [-5, 5]], dtype=float)
LETTER_C = np.array(
    [[0, 0], [10, 0], [10, 2], [2, 2], [2, 8], [10, 8], [10, 10], [0, 10]], dtype=float
)
LETTER_E = moved(LETTER_C, -3, 1)  # neither is convex


def flat(polygon: Polygon) -> FlatPolygons:
    starts = np.array([0, len(polygon)])
    points = np.ascontiguousarray(polygon)
    return points, starts, are_simple(points, starts)


def shared_area(first: Polygon, second: Polygon) -> float:
    pair = np.array([0])
    return float(measure_shared_areas(flat(first), flat(second), pair, pair)[0])


def is_simple(polygon: Polygon) -> bool:
    return bool(flat(polygon)[2][0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (SQUARE, SQUARE, 100.0),
        (SQUARE, moved(SQUARE, 6, 7), 12.0),
        (SQUARE, moved(SQUARE, 10, 0), 0.0),  # an edge in common
        (SQUARE, moved(SQUARE, 50, 0), 0.0),
        (SQUARE, SQUARE * 3 - 10, 100.0),  # inside
        (SQUARE, DIAMOND, 100.0),  # the corners of the square lie on the diamond's edges
        (SQUARE, moved(DIAMOND, 0, 5), 75.0),  # two corners of 5 x 5 / 2 are cut off
        (SQUARE, LETTER_C, 52.0),
        (LETTER_C, LETTER_C, 52.0),
        # The upper bars share 7 x 1, the lower ones too, and E's upper bar meets C's back in 2 x 1.
        (LETTER_C, LETTER_E, 16.0),
    ],
)
def test_areas_by_hand(first: Polygon, second: Polygon, expected: float) -> None:
    assert shared_area(first, second) == expected
    assert shared_area(second[::-1], first) == expected  # whichever way round they run


def test_nothing_is_rounded_away_far_from_the_origin() -> None:
    far = np.array([900_000.0, 900_000.0])
    assert shared_area(SQUARE + far, moved(DIAMOND, 0, 5) + far) == 75.0


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        (SQUARE, True),
        (LETTER_C, True),
        (np.insert(SQUARE, 1, [5, 0], axis=0), True),  # a straight corner
        (SQUARE[[0, 2, 1, 3]], False),  # a bow tie
        (np.repeat(SQUARE, 2, axis=0), False),  # points twice
        (np.insert(SQUARE, 1, [[15, 0], [10, 0]], axis=0), False),  # a spike to and fro
        (np.array([[0, 0], [10, 0], [10, 10], [5, 0], [0, 10]], dtype=float), False),  # touches
        (np.array([[0, 0], [5, 0], [10, 0], [2, 0]], dtype=float), False),  # a line
    ],
)
def test_simple_polygons_are_those_whose_edges_do_not_touch(
    polygon: Polygon, expected: bool
) -> None:
    assert is_simple(polygon) == expected


def test_polygons_of_very_many_points_and_tangled_ones_are_left_to_shapely() -> None:
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    wheel = np.round(np.stack([np.cos(turn), np.sin(turn)], axis=1) * 90_000)
    assert not is_simple(wheel)
    assert is_simple(wheel[::2])
    assert shared_area(wheel, SQUARE) == -1.0
    assert shared_area(SQUARE, SQUARE[[0, 2, 1, 3]]) == -1.0


coordinates = st.integers(-12, 12)
anything = st.lists(st.tuples(coordinates, coordinates), min_size=4, max_size=9).map(
    lambda points: np.array(points, dtype=float)
)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_what_is_called_simple_is_valid_for_shapely(polygon: Polygon) -> None:
    assert not is_simple(polygon) or shapely.Polygon(polygon).is_valid


@st.composite
def star(draw: st.DrawFn) -> Polygon:
    """A simple polygon around some centre, mostly not convex, on whole pixels."""
    count = draw(st.integers(4, 24))
    radii = draw(st.lists(st.integers(3, 60), min_size=count, max_size=count))
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    spokes = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.round(np.array(radii)[:, None] * spokes) + draw(st.tuples(coordinates, coordinates))


@settings(max_examples=200, deadline=None)
@given(star(), star())
def test_shared_areas_are_those_of_shapely(first: Polygon, second: Polygon) -> None:
    assume(is_simple(first) and is_simple(second))
    expected = shapely.Polygon(first).intersection(shapely.Polygon(second)).area
    assert shared_area(first, second) == pytest.approx(expected, rel=1e-10, abs=1e-9)
