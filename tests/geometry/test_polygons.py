"""Polygon primitives: hand-derived values, and invariants over random polygons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from receipt_ocr.geometry.polygons import (
    Polygon,
    as_polygon,
    bounding_box,
    clip_to_pieces,
    distance_outside,
    flatten_polygon,
    measure_line,
    minimum_area_box,
    offset_path,
    perimeter,
    polygon_area,
    rectangle,
    short_side,
    signed_area,
    transform_polygon,
    uncross_quad,
)

SQUARE = rectangle(0, 0, 10, 10)
TRAPEZOID = np.array([[0.0, 0.0], [8.0, 0.0], [5.0, 4.0], [0.0, 4.0]])

coordinates = st.integers(-2000, 6000).map(lambda quarters: quarters / 4)
polygons = st.integers(4, 9).flatmap(
    lambda points: arrays(np.float64, (points, 2), elements=coordinates)
)
shifts = st.tuples(st.integers(-3000, 3000), st.integers(-3000, 3000))


def offset(polygon: Polygon, distance: float) -> list[Polygon]:
    path: list[list[int]] = polygon.astype(int).tolist()
    return [np.array(piece, dtype=float) for piece in offset_path(path, distance)]


def star(radii: list[float], turn: float) -> Polygon:
    """A polygon that does not cross itself, around (500, 500)."""
    angles = turn + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    spokes = np.column_stack([np.cos(angles), np.sin(angles)])
    return 500 + spokes * np.array(radii)[:, None]


stars = st.builds(star, st.lists(st.floats(20, 400), min_size=4, max_size=8), st.floats(0, 6))


class TestAsPolygon:
    def test_nested_and_flat_coordinates_are_the_same_polygon(self) -> None:
        np.testing.assert_array_equal(as_polygon([[0, 0], [10, 0], [10, 10], [0, 10]]), SQUARE)
        flat = [0, 0, 10, 0, 10, 10, 0, 10]
        np.testing.assert_array_equal(as_polygon(flat), SQUARE)
        assert flatten_polygon(SQUARE) == flat

    def test_the_result_is_a_copy(self) -> None:
        given_points = SQUARE.copy()
        as_polygon(given_points)[0, 0] = 99.0
        np.testing.assert_array_equal(given_points, SQUARE)

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([], "4 points or more, got 0"),
            ([[0, 0], [1, 0], [1, 1]], "4 points or more, got 3"),
            ([0, 0, 1, 0, 1, 1, 0], r"got shape \(7,\)"),
            (np.zeros((4, 3)), r"got shape \(4, 3\)"),
            ([[0, 0], [1, 0], [1, 1], [0, "x"]], "must be numbers"),
            ([[0, 0], [1, 0], [1, 1], [0]], "must be numbers"),
            ([0, 0, 1, 0, 1, 1, 0, np.nan], "must be finite"),
        ],
    )
    def test_other_inputs_are_refused(self, points: ArrayLike, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            as_polygon(points)


class TestMeasures:
    def test_a_trapezoid_by_hand(self) -> None:
        # (8 + 5) / 2 * 4 = 26; sides 8, 5 (3-4-5), 5, 4.
        assert polygon_area(TRAPEZOID) == signed_area(TRAPEZOID) == 26.0
        assert polygon_area(TRAPEZOID[::-1]) == -signed_area(TRAPEZOID[::-1]) == 26.0
        assert perimeter(TRAPEZOID) == 22.0
        assert bounding_box(TRAPEZOID) == (0.0, 0.0, 8.0, 4.0)

    def test_a_tilted_rectangle_is_its_own_box(self) -> None:
        tilted = np.array([[0.0, 30.0], [40.0, 0.0], [58.0, 24.0], [18.0, 54.0]])  # 50 x 30
        assert short_side(tilted) == pytest.approx(30.0, abs=1e-4)
        np.testing.assert_allclose(minimum_area_box(tilted), tilted, atol=1e-4)

    def test_the_box_of_an_upright_rectangle_runs_clockwise_from_the_top_left(self) -> None:
        shuffled = SQUARE[[2, 0, 3, 1]] + (3, 5)
        expected = [[3, 5], [13, 5], [13, 15], [3, 15]]
        np.testing.assert_allclose(minimum_area_box(shuffled), expected, atol=1e-4)

    @given(polygons, shifts)
    def test_area_and_perimeter_ignore_translation(
        self, polygon: Polygon, shift: tuple[int, int]
    ) -> None:
        moved = polygon + shift
        assert polygon_area(moved) == pytest.approx(polygon_area(polygon), rel=1e-9, abs=1e-3)
        assert perimeter(moved) == pytest.approx(perimeter(polygon), rel=1e-9, abs=1e-6)

    @given(polygons)
    def test_the_minimum_area_box_holds_the_points_and_is_no_larger_than_the_bounding_box(
        self, polygon: Polygon
    ) -> None:
        left, top, right, bottom = bounding_box(polygon)
        box = minimum_area_box(polygon)
        assert polygon_area(box) <= (right - left) * (bottom - top) * (1 + 1e-4) + 1.0
        around = np.array(bounding_box(box)) - (left, top, right, bottom)
        assert (around[:2] <= 0.1).all() and (around[2:] >= -0.1).all()


class TestTransform:
    def test_scale_and_shift_by_hand(self) -> None:
        matrix = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, -1.0], [0.0, 0.0, 1.0]])
        expected = [[1, -1], [17, -1], [11, 11], [1, 11]]
        np.testing.assert_array_equal(transform_polygon(TRAPEZOID, matrix), expected)

    def test_a_perspective_matrix_divides(self) -> None:
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 1.0]])
        np.testing.assert_allclose(
            transform_polygon(SQUARE, matrix), [[0, 0], [5, 0], [5, 5], [0, 10]]
        )

    @given(
        polygons,
        st.tuples(st.floats(0.05, 20), st.floats(0.05, 20), st.floats(-0.5, 0.5), st.floats(0, 6)),
        shifts,
    )
    def test_a_matrix_and_its_inverse_undo_each_other(
        self,
        polygon: Polygon,
        linear: tuple[float, float, float, float],
        shift: tuple[int, int],
    ) -> None:
        scale_x, scale_y, shear, turn = linear
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        stretch = np.array([[scale_x, shear * scale_y, 0], [0, scale_y, 0], [0, 0, 1]])
        translation = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]], dtype=float)
        matrix = translation @ rotation @ stretch
        back = transform_polygon(transform_polygon(polygon, matrix), np.linalg.inv(matrix))
        np.testing.assert_allclose(back, polygon, atol=1e-6)


class TestClip:
    def test_a_polygon_inside_comes_back_as_a_copy(self) -> None:
        (clipped,), share = clip_to_pieces(SQUARE, 10, 10)
        assert clipped is not SQUARE
        np.testing.assert_array_equal(clipped, SQUARE)
        assert share == 1.0

    def test_half_a_square_is_left(self) -> None:
        (clipped,), share = clip_to_pieces(SQUARE - (5, 0), 100, 100)
        assert (polygon_area(clipped), share) == (50.0, 0.5)
        assert bounding_box(clipped) == (0, 0, 5, 10)

    @pytest.mark.parametrize("moved", [SQUARE + 200, SQUARE - (10, 0)], ids=["outside", "edge"])
    def test_nothing_is_left_outside_or_on_the_edge(self, moved: Polygon) -> None:
        assert clip_to_pieces(moved, 100, 100) == ([], 0.0)

    def test_pieces_come_largest_first(self) -> None:
        # A U open to the left whose lower arm is thicker; the page cuts its back off.
        letter = np.array(
            [[0, 0], [30, 0], [30, 30], [0, 30], [0, 20], [25, 20], [25, 5], [0, 5]], dtype=float
        )
        pieces, share = clip_to_pieces(letter, 20, 100)
        assert [bounding_box(piece) for piece in pieces] == [(0, 20, 20, 30), (0, 0, 20, 5)]
        assert share == pytest.approx(300 / 525)

    def test_a_triangle_gets_a_fourth_point(self) -> None:
        corner = np.array([[-10.0, 0.0], [0.0, -10.0], [10.0, 0.0], [0.0, 10.0]])
        (clipped,), _ = clip_to_pieces(corner, 100, 100)
        assert len(clipped) == 4
        assert polygon_area(clipped) == 50.0

    @given(polygons)
    @settings(max_examples=60)
    def test_the_pieces_lie_inside_the_page(self, polygon: Polygon) -> None:
        pieces, share = clip_to_pieces(polygon, 900, 700)
        assert 0.0 <= share <= 1.0 + 1e-9
        for piece in pieces:
            assert distance_outside(piece, 900, 700) == 0
            assert len(piece) >= 4
            is_whole = np.array_equal(piece, polygon)  # then it is returned, whatever its area
            assert is_whole or polygon_area(piece) > 0

    @given(stars)
    @settings(max_examples=60)
    def test_clipping_never_adds_area(self, polygon: Polygon) -> None:
        kept = sum(polygon_area(piece) for piece in clip_to_pieces(polygon, 600, 600)[0])
        assert kept <= polygon_area(polygon) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(
    ("shift", "distance"), [((0, 0), 0), ((-3, 0), 3), ((0, 95), 5), ((-3, 95), 5), ((97, -9), 9)]
)
def test_the_farthest_point_says_how_far_outside(shift: tuple[int, int], distance: float) -> None:
    assert distance_outside(SQUARE + shift, 100, 100) == distance


@pytest.mark.parametrize("order", [[0, 1, 3, 2], [0, 2, 1, 3]])
def test_the_corners_of_a_bow_tie_are_put_in_order(order: list[int]) -> None:
    assert polygon_area(SQUARE[order]) == 0.0
    assert polygon_area(uncross_quad(SQUARE[order])) == 100.0
    for whole in (SQUARE, TRAPEZOID[::-1], np.concatenate([SQUARE, SQUARE[order]])):
        assert uncross_quad(whole) is whole


def test_no_points_have_no_size_and_an_infinite_box() -> None:
    nothing = np.empty((0, 2))
    assert polygon_area(nothing) == perimeter(nothing) == 0.0
    assert bounding_box(nothing) == (np.inf, np.inf, -np.inf, -np.inf)


def test_areas_of_small_unsigned_integers_do_not_wrap_around() -> None:
    assert polygon_area((SQUARE * 25).astype(np.uint8)) == 62500.0


class TestOffset:
    def test_a_square_grows_and_shrinks_by_whole_pixels(self) -> None:
        (smaller,) = offset(SQUARE, -2)
        assert bounding_box(smaller) == (2, 2, 8, 8)
        (larger,) = offset(SQUARE, 3)
        assert bounding_box(larger) == (-3, -3, 13, 13)
        # Rounded joins: four quarter circles of radius 3 in the corners.
        assert polygon_area(larger) == pytest.approx(100 + 4 * 30 + np.pi * 9, abs=5)
        assert offset(SQUARE, -5) == []

    def test_a_dumbbell_shrinks_to_two_pieces(self) -> None:
        dumbbell = np.array(
            [
                [0, 0], [30, 0], [30, 13], [50, 13], [50, 0], [80, 0],
                [80, 30], [50, 30], [50, 17], [30, 17], [30, 30], [0, 30],
            ],
            dtype=float,
        )  # fmt: skip
        pieces = sorted(bounding_box(piece) for piece in offset(dumbbell, -4))
        # Between the corners that the bridge left the joins are round: a pixel of a bulge.
        np.testing.assert_allclose(pieces, [(4, 4, 26, 26), (54, 4, 76, 26)], atol=1)

    @given(stars, st.floats(1, 30))
    @settings(max_examples=60)
    def test_growing_adds_area_and_shrinking_takes_it(
        self, polygon: Polygon, distance: float
    ) -> None:
        area = polygon_area(np.trunc(polygon))
        shrunk = sum(polygon_area(piece) for piece in offset(polygon, -distance))
        grown = max((polygon_area(p) for p in offset(polygon, distance)), default=0.0)
        assert shrunk <= area
        assert grown >= area


def turned(length: float, height: float, degrees: float) -> Polygon:
    """A rectangle turned around (500, 300)."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (length / 2, height / 2)
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return corners @ matrix + (500, 300)


class TestMeasureLine:
    @pytest.mark.parametrize(
        ("degrees", "tilt"),
        [(0, 0), (12, 12), (-12, 12), (60, 60), (90, 90), (135, 45), (168, 12), (180, 0)],
    )
    def test_the_tilt_is_that_of_the_longer_side(self, degrees: float, tilt: float) -> None:
        measured = measure_line(turned(80, 20, degrees))
        assert measured == pytest.approx((80, 20, tilt), abs=1e-3)

    @pytest.mark.parametrize("first", range(4))
    def test_any_corner_may_come_first_in_either_direction(self, first: int) -> None:
        corners = np.roll(turned(80, 20, 12), first, axis=0)
        for polygon in (corners, corners[::-1].copy()):
            assert measure_line(polygon) == pytest.approx((80, 20, 12), abs=1e-3)

    def test_a_curved_line_has_its_rectangle(self) -> None:
        bent = np.array([[0.0, 4], [20, 0], [40, 4], [40, 14], [20, 10], [0, 14]])
        assert measure_line(bent) == pytest.approx((40, 14, 0), abs=1e-3)

    def test_a_line_without_area_has_no_height(self) -> None:
        flat = np.array([[0.0, 0], [3, 3], [6, 6], [3, 3]])
        assert measure_line(flat) == pytest.approx((72**0.5, 0, 45), abs=1e-3)

    @given(stars)
    @settings(max_examples=30)
    def test_the_height_is_the_short_side_of_what_encloses_it(self, polygon: Polygon) -> None:
        length, height, tilt = measure_line(polygon)
        assert height == pytest.approx(short_side(polygon), rel=1e-3)
        assert length >= height - 1e-3
        assert 0 <= tilt <= 90
        assert length * height >= polygon_area(polygon) * (1 - 1e-3)
