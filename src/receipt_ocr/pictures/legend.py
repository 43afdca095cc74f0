"""The legend below a picture, which explains its colours and shapes."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from receipt_ocr.synthesis.ink import find_font

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Colour = tuple[int, int, int]

INK: Colour = (40, 40, 40)
PAPER: Colour = (255, 255, 255)

LEGEND_TEXT = (9, 13)  # pixels: in small and in large pictures
LEGEND_ROW = 1.45  # times its text
GAP = 8


class LegendEntry(NamedTuple):
    """One item; ``shape`` ("line", "fill", "cross" or "none") is how its polygons are drawn."""

    label: str
    colour: Colour
    shape: str


def fit_legend(
    image: Picture, entries: Sequence[LegendEntry], height: int
) -> tuple[int, int, list[list[LegendEntry]]]:
    """Fit a page and the legend below it into a picture of a given height, pixels.

    Returns:
        Width and height of the page, and the legend's rows.

    Raises:
        ValueError: If ``height`` leaves the page no room.
    """
    text = _legend_text(height)
    rows: list[list[LegendEntry]] = [list(entries)]
    # More rows leave the page less height and so less width; a few rounds settle it.
    for _ in range(len(entries)):
        width, _ = _page_size(image, len(rows), height)
        wrapped = list(_wrap(entries, width, text))
        if len(wrapped) <= len(rows):
            break
        rows = wrapped
    return *_page_size(image, len(rows), height), rows


def _page_size(image: Picture, legend_rows: int, height: int) -> tuple[int, int]:
    page_height = height - round(LEGEND_ROW * _legend_text(height)) * legend_rows
    if page_height < 1:
        raise ValueError(f"height {height} leaves no room for the page above its legend")
    return max(1, round(image.shape[1] * page_height / image.shape[0])), page_height


def _legend_text(height: int) -> int:
    """Size of the legend's text in a picture of this height, pixels."""
    return int(np.clip(height // 70, *LEGEND_TEXT))


def _wrap(entries: Sequence[LegendEntry], width: int, text: int) -> Iterator[list[LegendEntry]]:
    row: list[LegendEntry] = []
    used = 0
    for entry in entries:
        length = _entry_length(entry, text)
        if row and used + length > width:
            yield row
            row, used = [], 0
        row.append(entry)
        used += length
    yield row


def _entry_length(entry: LegendEntry, text: int) -> int:
    return _swatch_length(entry, text) + int(load_font(text).getlength(entry.label)) + GAP


def _swatch_length(entry: LegendEntry, text: int) -> int:
    return 0 if entry.shape == "none" else text + 4


def draw_legend(rows: Sequence[Sequence[LegendEntry]], width: int, height: int) -> Picture:
    """Draw the strip below a page, (height, width, 3); ``rows`` are from :func:`fit_legend`."""
    strip = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(strip)
    row_height = height // len(rows)
    text = round(row_height / LEGEND_ROW)
    for index, row in enumerate(rows):
        left, middle = 2, index * row_height + row_height // 2
        for entry in row:
            _draw_swatch(pen, (left, middle - text // 3, left + text, middle + text // 3), entry)
            start = left + _swatch_length(entry, text)
            pen.text((start, middle), entry.label, INK, load_font(text), anchor="lm")
            left += _entry_length(entry, text)
    return np.array(strip)


def _draw_swatch(
    pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], entry: LegendEntry
) -> None:
    if entry.shape == "none":
        return
    left, top, right, bottom = box
    filling = entry.colour if entry.shape == "fill" else None
    pen.rectangle(box, filling, entry.colour, width=2)
    if entry.shape == "cross":
        pen.line((left, top, right, bottom), fill=entry.colour, width=2)
        pen.line((left, bottom, right, top), fill=entry.colour, width=2)


@lru_cache(maxsize=8)
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """A font with Latin and Hangul letters, ``size`` in pixels."""
    # Names of pages may be Korean, which Pillow's own font lacks.
    return ImageFont.truetype(str(find_font("NanumGothic.ttf")), size)
