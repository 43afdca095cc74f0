"""Names that are safe, and polygons placed on their page."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from receipt_ocr.geometry.polygons import PolygonError, distance_outside, polygon_area
from receipt_ocr.receipts.annotation_checks import is_safe_name, place_on_page
from receipt_ocr.receipts.images import ImageInfo


@given(st.text())
def test_a_safe_name_stays_in_its_folder(name: str) -> None:
    if is_safe_name(name):
        assert (Path("/pages") / name).parts == ("/", "pages", name)


@given(st.lists(st.floats(-40, 140), min_size=8, max_size=16).filter(lambda v: len(v) % 2 == 0))
def test_a_placed_polygon_lies_on_the_page_and_has_an_area(flat: list[float]) -> None:
    try:
        placed = place_on_page(np.reshape(flat, (-1, 2)), ImageInfo(100, 100, 1), margin=16)
    except PolygonError as error:
        assert error.reason in {"zero_area", "outside_page"}
        return
    assert distance_outside(placed.polygon, 100, 100) == 0
    assert polygon_area(placed.polygon) > 0
    assert placed.clipped_points <= len(placed.polygon)
