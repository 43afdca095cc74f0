"""Draw the ink of words and marks, in print pixels.

Print pixels are finer than paper pixels, by ``PRINT_SCALE`` along each axis.
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PRINT_SCALE = 2
"""Print pixels in a paper pixel, along each axis."""


@dataclass(frozen=True)
class Tile:
    """A rendered word, trimmed to its ink."""

    ink: NDArray[np.uint8]
    """(height, width) print pixels, 0 where there is no ink."""
    top: int
    """Ink, in print pixels below the baseline (so mostly negative)."""
    text: str


@lru_cache(maxsize=16)
def find_font(name: str) -> Path:
    """Find the file of a font that comes with an installed package.

    The packages are not imported, because matplotlib is slow to load, and importing
    ``koreanize_matplotlib`` changes its settings.

    Raises:
        FileNotFoundError: If the package or the font is missing.
    """
    is_nanum = name.startswith("Nanum")
    package = "koreanize_matplotlib" if is_nanum else "matplotlib"
    folder = "fonts" if is_nanum else "mpl-data/fonts/ttf"
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        path = Path(location) / folder / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"font {name} not found in package {package}: pip install {package}")


@lru_cache(maxsize=4096)
def render_word(text: str, font_name: str, em: int, stretch: float) -> Tile:
    """Render a word; ``em`` is the font size in print pixels, ``stretch`` widens the glyphs."""
    font = _load_font(font_name, em)
    left, top, right, bottom = (int(side) for side in font.getbbox(text, anchor="ls"))
    image = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font, anchor="ls")
    size = (max(1, round(image.width * stretch)), image.height)
    interpolation = cv2.INTER_AREA if stretch < 1 else cv2.INTER_LINEAR
    ink = cv2.resize(np.asarray(image), size, interpolation=interpolation)
    is_ink = ink >= 64  # fainter pixels are the smoothing around a stroke
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    trimmed = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    return Tile(trimmed, top - 1 + int(rows[0]), text)


def draw_mark(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the ink of a rule or code: its ``Mark.kind``, its (height, width) in print pixels."""
    height, width = shape
    ink = np.zeros(shape, dtype=np.uint8)
    if kind == "barcode":
        modules = np.repeat(rng.random(60) < 0.5, rng.integers(1, 4, 60))
        columns = np.arange(width) * len(modules) // width
        ink[:, modules[columns]] = 255
    elif kind == "matrix code":
        modules = rng.random((25, 25)) < 0.5
        index = np.arange(height) * 25 // height
        ink[modules[np.ix_(index, index)]] = 255
    elif kind == "stars":
        size = height
        star = np.zeros((size, size), dtype=np.uint8)
        middle, arm = (size - 1) / 2, size * 0.36
        for angle in (np.pi / 2, np.pi / 6, -np.pi / 6):
            reach = arm * np.array([np.cos(angle), np.sin(angle)])
            start, end = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
            cv2.line(star, start.tolist(), end.tolist(), 255, max(1, size // 9), cv2.LINE_AA)
        ink = np.tile(star, (1, width // size + 1))[:, :width]
    else:
        ink[:PRINT_SCALE] = 255
        if kind == "double":
            ink[-PRINT_SCALE:] = 255
        if kind == "dashed":
            period = max(6, height * 4)
            ink[:, np.arange(width) % period >= period * 0.6] = 0
    return ink


@lru_cache(maxsize=256)
def _load_font(name: str, em: int) -> ImageFont.FreeTypeFont:
    # Every build of Pillow has the basic layout engine, so that pages are the same everywhere.
    return ImageFont.truetype(str(find_font(name)), em, layout_engine=ImageFont.Layout.BASIC)
