"""Many polygons at once give what each of them gives alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.geometry.batch import PolygonBatch, join_polygons, paint_polygons
from receipt_ocr.geometry.polygons import (
    Polygon,
    bounding_box,
    offset_path,
    perimeter,
    polygon_area,
    rectangle,
)

BOX = rectangle(0, 0, 3, 4)
TRIANGLE = np.array([[10.0, 10.0], [20.0, 10.0], [10.0, 30.0]])

polygons = st.lists(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=9).map(
        lambda points: np.array(points, dtype=float).reshape(-1, 2)
    ),
    max_size=7,
)


def test_no_polygons_are_an_empty_batch() -> None:
    batch = PolygonBatch.join([])
    assert len(batch) == 0
    assert list(batch) == batch.paths() == []
    assert [array.shape for array in batch.measure()] == [(0,), (0,), (0, 4)]
    assert len(batch.take(np.array([], dtype=np.intp))) == len(PolygonBatch.join_paths([])) == 0


def test_sizes_areas_perimeters_and_boxes_are_those_of_the_polygons() -> None:
    batch = PolygonBatch.join([BOX, TRIANGLE])
    assert batch.sizes.tolist() == [4, 3]
    areas, perimeters, boxes = batch.measure()
    assert areas.tolist() == [12.0, 100.0]
    assert perimeters.tolist() == [14.0, 10.0 + 20.0 + 500.0**0.5]
    assert boxes.tolist() == [[0, 0, 3, 4], [10, 10, 20, 30]]


@settings(max_examples=50, deadline=None)
@given(polygons, st.data())
def test_a_batch_holds_its_polygons_in_any_choice_of_them(
    given_polygons: list[Polygon], data: st.DataObject
) -> None:
    batch = PolygonBatch.join(given_polygons)
    for polygon, held in zip(given_polygons, batch, strict=True):
        np.testing.assert_array_equal(held, polygon)
    numbers = st.lists(st.integers(0, max(len(batch) - 1, 0)), max_size=9 if len(batch) else 0)
    chosen = data.draw(numbers)
    taken = batch.take(np.array(chosen, dtype=np.intp))
    for index, polygon in zip(chosen, taken, strict=True):
        np.testing.assert_array_equal(polygon, given_polygons[index])
    measures = batch.measure()
    for index, polygon in enumerate(given_polygons):
        if len(polygon):
            assert measures.areas[index] == polygon_area(polygon)
            assert measures.perimeters[index] == perimeter(polygon)
            assert tuple(measures.boxes[index]) == bounding_box(polygon)


def test_paths_are_what_pyclipper_takes_and_gives() -> None:
    batch = PolygonBatch.join([BOX + 0.9, TRIANGLE])
    assert batch.paths()[0] == [[0, 0], [3, 0], [3, 4], [0, 4]]  # truncated
    grown = [offset_path(path, 5.0)[0] for path in batch.paths()]
    joined = PolygonBatch.join_paths(grown)
    assert [polygon.tolist() for polygon in joined] == grown


def test_painting_outside_the_canvas_is_cut_off() -> None:
    canvas = np.zeros((20, 20), dtype=np.uint8)
    paint_polygons(canvas, PolygonBatch.join([rectangle(-5, -5, 5, 5)]), 7)
    assert (canvas[:6, :6] == 7).all()
    assert int((canvas == 7).sum()) == 36


def test_painting_sets_overlapping_polygons_one_after_the_other() -> None:
    canvas = np.zeros((6, 8), dtype=np.float32)
    paint_polygons(canvas, PolygonBatch.join([BOX, rectangle(2, 0, 5, 4)]), 0.5)
    expected = np.zeros((6, 8))
    expected[:5, :6] = 0.5  # the common columns too: no even-odd rule
    np.testing.assert_array_equal(canvas, expected)


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        (np.zeros(8), r"word 1 must be a \(P, 2\) polygon, got shape \(8,\)"),
        (np.zeros((4, 3)), r"word 1 must be a \(P, 2\) polygon, got shape \(4, 3\)"),
        (np.array([[0, 0], [np.inf, 5]]), r"word 1 must have finite coordinates .* got \[inf, 5"),
        (np.array([[0, 0], [0, np.nan]]), r"word 1 must have finite coordinates .* got \[0.0, nan"),
        (np.array([[0, -1000001.0]]), r"word 1 .* within 1,000,000 pixels, got \[0.0, -1000001"),
    ],
)
def test_polygons_from_outside_are_checked_by_name(polygon: Polygon, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        join_polygons([BOX, polygon, BOX], "word")


def test_an_empty_polygon_is_kept_as_one_without_points() -> None:
    assert join_polygons([np.array([]), BOX], "word").sizes.tolist() == [0, 4]
