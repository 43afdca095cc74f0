"""Page images, read upright (EXIF is applied once) and whole (a broken file is an error)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from receipt_ocr.geometry.polygons import Matrix

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes (lower case) of the files that count as page images."""

_ORIENTATION_TAG = 0x0112
_TRANSPOSES = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF orientation -> how to bring the stored pixels upright (Pillow turns counter-clockwise)."""


@dataclass(frozen=True)
class ImageInfo:
    """Upright size of a page in pixels, and its EXIF orientation from 1 to 8."""

    width: int
    height: int
    orientation: int

    @property
    def stored_size(self) -> tuple[int, int]:
        """``(width, height)`` of the pixels in the file, before EXIF is applied."""
        is_turned = self.orientation >= 5
        return (self.height, self.width) if is_turned else (self.width, self.height)


def find_images(folder: Path) -> list[Path]:
    """The image files in a folder, sorted by name; other files are passed over."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def list_images(folder: Path) -> dict[str, Path]:
    """File name -> path of every image in a folder, sorted by name.

    Raises:
        FileNotFoundError: If there is no such folder or no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    images = {file.name: file for file in find_images(folder)}
    if not images:
        raise FileNotFoundError(f"no images in {folder} ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return images


def read_upright(path: Path) -> NDArray[np.uint8]:
    """Read a page the way up a person sees it, with EXIF applied exactly once.

    `cv2.imread` turns pages by EXIF too: what is read here must not be turned again.

    Returns:
        RGB image, (H, W, 3) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is empty, cut off or no image.
    """
    with _opened(path) as image:
        return np.array(_turn_upright(_to_rgb(image), _read_orientation(image)))


def verify_image(path: Path) -> ImageInfo:
    """Size and orientation of a page; every pixel is decoded, so a cut-off file is noticed.

    Raises:
        FileNotFoundError, ValueError: As `read_upright`.
    """
    with _opened(path) as image:
        image.load()
        orientation = _read_orientation(image)
        width, height = image.size[::-1] if orientation >= 5 else image.size
        return ImageInfo(width, height, orientation)


def read_thumbnail(path: Path, size: int) -> Image.Image:
    """Read a page as a small upright grey picture, stretched to (size, size) pixels.

    Raises:
        FileNotFoundError, ValueError: As `read_upright`.
    """
    with _opened(path) as image:
        orientation = _read_orientation(image)
        image.draft("L", (2 * size, 2 * size))  # JPEG decodes straight to a smaller size
        grey = image.convert("L").resize((size, size), Image.Resampling.BOX)
        return _turn_upright(grey, orientation)


def upright_matrix(info: ImageInfo) -> Matrix:
    """The 3x3 matrix from the frame of the stored pixels to the frame of the upright page."""
    width, height = info.stored_size
    rows = {
        1: ((1, 0, 0), (0, 1, 0)),
        2: ((-1, 0, width), (0, 1, 0)),
        3: ((-1, 0, width), (0, -1, height)),
        4: ((1, 0, 0), (0, -1, height)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, -1, height), (1, 0, 0)),
        7: ((0, -1, height), (-1, 0, width)),
        8: ((0, 1, 0), (-1, 0, width)),
    }
    return np.array([*rows[info.orientation], (0, 0, 1)], dtype=np.float64)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; each of Pillow's errors about a broken file becomes a ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"no image file at {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"image file {path} is empty (0 bytes); copy it again")
    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no image that can be read; copy it again") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow reports broken PNG chunks as SyntaxError.
        raise ValueError(f"image file {path} cannot be decoded ({error}); copy it again") from error


def _read_orientation(image: Image.Image) -> int:
    orientation: int = image.getexif().get(_ORIENTATION_TAG, 1)
    return orientation if orientation in _TRANSPOSES else 1


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(_TRANSPOSES[orientation])


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to eight bits a channel; transparency is dropped."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clip 16-bit greys to white
        high_bytes = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    return image.convert("RGB")
