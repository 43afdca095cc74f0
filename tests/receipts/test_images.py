"""Reading images: upright once, and a clear error for every broken file."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from receipt_ocr.geometry.polygons import distance_outside, polygon_area, transform_polygon
from receipt_ocr.receipts.images import (
    ImageInfo,
    list_images,
    read_thumbnail,
    read_upright,
    upright_matrix,
    verify_image,
)

READERS = [read_upright, verify_image]


def _save(path: Path, pixels: np.ndarray, orientation: int | None = None) -> Path:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def _stored_pixels() -> np.ndarray:
    """5 wide, 3 high, every pixel another colour."""
    return np.arange(45, dtype=np.uint8).reshape(3, 5, 3) * 5


def test_orientation_six_turns_the_page_clockwise(tmp_path: Path) -> None:
    path = _save(tmp_path / "page.png", _stored_pixels(), orientation=6)
    np.testing.assert_array_equal(read_upright(path), np.rot90(_stored_pixels(), k=-1))
    info = verify_image(path)
    assert info == ImageInfo(width=3, height=5, orientation=6)
    assert info.stored_size == (5, 3)


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_exif_is_applied_once_as_opencv_does(tmp_path: Path, orientation: int | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    path = _save(tmp_path / "page.jpg", pixels, orientation)
    upright = read_upright(path)
    np.testing.assert_array_equal(upright, cv2.imread(str(path))[..., ::-1])
    info = verify_image(path)
    assert (info.height, info.width) == upright.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_matrix_moves_a_pixel_where_reading_moves_it(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((3, 5, 3), dtype=np.uint8)
    pixels[2, 1] = 255
    path = _save(tmp_path / "page.png", pixels, orientation)
    [(row, column)] = np.argwhere(read_upright(path)[..., 0])
    centre = transform_polygon(np.array([[1.5, 2.5]]), upright_matrix(verify_image(path)))
    np.testing.assert_allclose(centre, [[column + 0.5, row + 0.5]])


@pytest.mark.parametrize("orientation", [0, 9, 4000])
def test_an_unknown_orientation_counts_as_none(tmp_path: Path, orientation: int) -> None:
    path = _save(tmp_path / "page.jpg", np.zeros((4, 6, 3), np.uint8), orientation)
    assert verify_image(path) == ImageInfo(width=6, height=4, orientation=1)
    assert read_upright(path).shape == (4, 6, 3)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0no such header", b"Exif\0\0II*\0\xff\xff"]
)
def test_a_broken_exif_block_counts_as_none(tmp_path: Path, block: bytes) -> None:
    path = tmp_path / "page.jpg"
    Image.new("RGB", (6, 4)).save(path, exif=block)
    assert verify_image(path) == ImageInfo(width=6, height=4, orientation=1)
    assert read_upright(path).shape == (4, 6, 3)


def test_grey_palette_and_transparent_pages_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "LA", "1", "CMYK"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (6, 4)).save(path)
        image = read_upright(path)
        assert (image.shape, image.dtype) == ((4, 6, 3), np.uint8)


def test_sixteen_bit_greys_keep_their_shades(tmp_path: Path) -> None:
    grey = np.array([[0, 0x4000, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "scan.png")
    np.testing.assert_array_equal(read_upright(tmp_path / "scan.png")[0, :, 0], [0, 0x40, 0xFF])


def test_a_thumbnail_is_upright_grey_and_square(tmp_path: Path) -> None:
    pixels = np.zeros((400, 200, 3), np.uint8)
    pixels[:200] = 255  # white above black as stored: after a clockwise turn, white on the right
    path = _save(tmp_path / "page.jpg", pixels, orientation=6)
    thumbnail = np.asarray(read_thumbnail(path, 8))
    assert thumbnail.shape == (8, 8)
    assert thumbnail[:, 5:].min() > 200
    assert thumbnail[:, :3].max() < 50


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_is_named(tmp_path: Path, read) -> None:
    with pytest.raises(FileNotFoundError, match=r"no image file at .*nowhere\.jpg"):
        read(tmp_path / "nowhere.jpg")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"hello", "is no image")])
def test_an_empty_file_and_text_are_named(tmp_path: Path, read, content, message) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken\.jpg {message}"):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_cut_off_file_is_an_error(tmp_path: Path, read, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    path = _save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"cut\.{suffix} cannot be decoded"):
        read(path)


def test_a_picture_too_large_to_be_a_page_is_an_error(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match=r"bomb\.png cannot be decoded"):
        read_upright(path)


def test_images_of_a_folder_are_listed_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert list_images(tmp_path) == {"a.png": tmp_path / "a.png", "b.JPG": tmp_path / "b.JPG"}


def test_a_folder_without_images_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"no images in {tmp_path}"):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path / 'nowhere'}"):
        list_images(tmp_path / "nowhere")


@given(st.integers(1, 8), st.lists(st.floats(0, 90), min_size=8, max_size=8))
def test_turning_keeps_areas_and_stays_on_the_page(orientation: int, flat: list[float]) -> None:
    info = ImageInfo(100, 90, orientation)
    stored = np.minimum(np.reshape(flat, (4, 2)), info.stored_size)
    upright = transform_polygon(stored, upright_matrix(info))
    assert polygon_area(upright) == pytest.approx(polygon_area(stored), abs=1e-6)
    assert distance_outside(upright, info.width, info.height) == 0
