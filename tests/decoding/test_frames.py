"""Maps of one page in different frames."""

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.decoding.frames import MapFrame, align_map, frame_of, widest_frame
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.receipts.letterbox import fit_frame

PAGE = (300, 200)  # width, height


def framed(size: int, shape: str = "square") -> MapFrame:
    frame = fit_frame(*PAGE, size, shape)  # type: ignore[arg-type]
    return MapFrame((frame.height, frame.width), frame.map_to_page, *PAGE)


def on_page(frame: MapFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of a frame's pixel centres on the page, (H, 1) and (1, W)."""
    rows, columns = frame.shape
    x_scale, left = frame.axis(0)
    y_scale, top = frame.axis(1)
    y = (np.arange(rows) + 0.5)[:, None] * y_scale + top
    return y, (np.arange(columns) + 0.5)[None] * x_scale + left


def ramp(frame: MapFrame) -> NDArray[np.float32]:
    """A plane over the page: bilinear interpolation gives it back exactly."""
    y, x = on_page(frame)
    plane = 0.2 + x / (4 * PAGE[0]) + y / (4 * PAGE[1])
    return np.clip(plane, 0.0, 1.0).astype(np.float32)


@pytest.mark.parametrize(("size", "shape"), [(96, "square"), (96, "page"), (128, "page")])
@pytest.mark.parametrize("wanted", [framed(160), framed(160, "page"), framed(64, "page")])
def test_a_map_comes_to_the_place_where_it_is_on_the_page(
    size: int, shape: str, wanted: MapFrame
) -> None:
    own = framed(size, shape)
    aligned = align_map(ramp(own), own, wanted)
    y, x = on_page(wanted)
    is_inside = (y > 4) & (y < PAGE[1] - 4) & (x > 4) & (x < PAGE[0] - 4)
    assert is_inside.any()
    np.testing.assert_allclose(aligned[is_inside], ramp(wanted)[is_inside], atol=1e-5)
    is_outside = (y < 0) | (y > PAGE[1]) | (x < 0) | (x > PAGE[0])
    assert not aligned[is_outside & np.ones(wanted.shape, bool)].any()


def test_in_its_own_frame_a_map_stays_as_it_is() -> None:
    own = framed(96)
    values = np.random.default_rng(0).random(own.shape).astype(np.float32)
    assert align_map(values, own, framed(96)) is values
    stored = np.full(own.shape, 51, dtype=np.uint8)
    np.testing.assert_allclose(align_map(stored, own, own), 0.2)


def test_the_widest_frame_has_most_pixels_on_the_page() -> None:
    frames = [framed(96), framed(160), framed(160, "page"), framed(128)]
    assert widest_frame(frames) is frames[1]


def test_frames_of_other_pages_and_turned_frames_are_refused() -> None:
    own = framed(96)
    other = MapFrame(own.shape, own.map_to_page, 300, 201)
    with pytest.raises(ValueError, match=r"different sizes: 96x96 of a page of 300x200, .*300x201"):
        align_map(ramp(own), own, other)
    turned = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="no frame is turned"):
        MapFrame((4, 4), turned, 4, 4)


def test_a_stored_map_knows_its_frame() -> None:
    frame = framed(96)
    stored = ProbabilityMap(np.zeros(frame.shape, np.uint8), frame.map_to_page, *PAGE)
    assert frame_of(stored) == frame
    assert frame != framed(128)
    assert frame != "a frame"
