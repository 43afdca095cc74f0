"""The contest's letterbox, on numbers derived by hand and on its golden matrices."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipt_ocr.geometry.polygons import rectangle, transform_polygon
from receipt_ocr.receipts.letterbox import fit_frame, letterbox, resize_page

SIDES = st.integers(1, 3000)
SIZES = st.sampled_from([32, 640, 960])
SHAPES = st.sampled_from(["square", "page"])


def test_a_portrait_page_is_truncated_and_centred() -> None:
    # 1001 x 1300 to 640: 1001 * 640 / 1300 = 492.8 -> 492; (640 - 492) // 2 = 74 on the left.
    frame = fit_frame(1001, 1300, 640)
    assert (frame.width, frame.height) == (640, 640)
    assert (frame.inner_width, frame.inner_height) == (492, 640)
    assert (frame.left, frame.top) == (74, 0)
    x_scale, y_scale = 1001 / 492, 1300 / 640  # not the same: both sides were truncated
    expected = [[x_scale, 0, -74 * x_scale], [0, y_scale, 0], [0, 0, 1]]
    np.testing.assert_allclose(frame.map_to_page, expected, rtol=1e-15)


def test_an_odd_rest_leaves_the_larger_part_on_the_right_and_below() -> None:
    # 100 x 33 to 64: 33 * 0.64 = 21.12 -> 21; 64 - 21 = 43 rows of padding, 21 above, 22 below.
    frame = fit_frame(100, 33, 64)
    assert (frame.inner_width, frame.inner_height) == (64, 21)
    assert (frame.left, frame.top) == (0, 21)
    assert frame.height - frame.top - frame.inner_height == 22


def test_shape_page_pads_to_the_next_multiple_of_32() -> None:
    # 500 x 1000 to 800: 400 x 800; 400 -> 416, 8 columns on each side.
    frame = fit_frame(500, 1000, 800, "page")
    assert (frame.width, frame.height) == (416, 800)
    assert (frame.left, frame.top) == (8, 0)


def test_a_needle_keeps_a_pixel() -> None:
    assert fit_frame(1, 3000, 640).inner_width == 1


@pytest.mark.parametrize("size", [(0, 10, 640), (10, 0, 640), (10, 10, 0)])
def test_a_page_without_extent_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="need positive sides, got"):
        fit_frame(*size)


def test_golden_matrices_are_reproduced(shared: Path) -> None:
    golden = json.loads((shared / "golden" / "postprocess_cleval.json").read_text())
    assert len(golden["pages"]) == 24
    for page in golden["pages"]:
        frame = fit_frame(page["width"], page["height"], 960)
        np.testing.assert_allclose(frame.map_to_page, page["map_to_page"], rtol=1e-12, atol=1e-12)


@given(SIDES, SIDES, SIZES, SHAPES)
def test_to_the_frame_and_back_is_the_identity(
    width: int, height: int, size: int, shape: str
) -> None:
    frame = fit_frame(width, height, size, shape)  # type: ignore[arg-type]
    np.testing.assert_allclose(frame.map_to_page @ frame.page_to_map, np.eye(3), atol=1e-9)
    inside = transform_polygon(rectangle(0, 0, width, height), frame.page_to_map)
    right, bottom = frame.left + frame.inner_width, frame.top + frame.inner_height
    expected = rectangle(frame.left, frame.top, right, bottom)
    np.testing.assert_allclose(inside, expected, atol=1e-9)


@given(SIDES, SIDES, SIZES, SHAPES)
def test_the_page_fits_its_frame(width: int, height: int, size: int, shape: str) -> None:
    frame = fit_frame(width, height, size, shape)  # type: ignore[arg-type]
    assert size - 1 <= max(frame.inner_width, frame.inner_height) <= size
    assert frame.left + frame.inner_width <= frame.width <= size
    assert frame.top + frame.inner_height <= frame.height <= size
    assert frame.width % 32 == frame.height % 32 == 0


@pytest.mark.parametrize("shape", ["square", "page"])
@pytest.mark.parametrize(("width", "height"), [(200, 300), (300, 130), (40, 30)])
def test_content_lands_where_the_matrix_says(width: int, height: int, shape: str) -> None:
    image = np.full((height, width, 3), 100, dtype=np.uint8)
    left, top, right, bottom = width // 4, height // 5, width // 2, height // 2
    image[top:bottom, left:right] = (250, 200, 150)
    frame = fit_frame(width, height, 160, shape)  # type: ignore[arg-type]
    framed = letterbox(image, frame)
    assert framed.shape == (frame.height, frame.width, 3)
    moved = transform_polygon(rectangle(left, top, right, bottom), frame.page_to_map)
    blurred = 1 + frame.inner_width / width  # an edge is this wide at most, in frame pixels
    (x0, y0), (x1, y1) = np.ceil(moved[0] + blurred).astype(int), (moved[2] - blurred).astype(int)
    assert x1 > x0 and y1 > y0
    assert (framed[y0:y1, x0:x1] == (250, 200, 150)).all()
    (x0, y0), (x1, y1) = (moved[0] - blurred).astype(int), np.ceil(moved[2] + blurred).astype(int)
    around = framed[frame.top :, frame.left : x0]
    assert (around[: frame.inner_height] == 100).all()
    assert (framed[y1 : frame.top + frame.inner_height, x0:x1] == 100).all()
    padding = framed.copy()
    padding[frame.top : frame.top + frame.inner_height, frame.left :][:, : frame.inner_width] = 0
    assert not padding.any()


def test_an_image_of_another_page_is_refused() -> None:
    with pytest.raises(ValueError, match=r"page of 20x10 pixels, the image has 10x20"):
        letterbox(np.zeros((20, 10, 3), dtype=np.uint8), fit_frame(20, 10, 64))


def test_shrinking_averages_so_that_thin_strokes_survive() -> None:
    image = np.full((64, 64, 3), 255, dtype=np.uint8)
    image[:, 1::4] = 0  # every fourth column: plain sampling would keep all of it or nothing
    np.testing.assert_array_equal(resize_page(image, 16, 16), 191)
    same = resize_page(image, 64, 64)
    assert same is image
