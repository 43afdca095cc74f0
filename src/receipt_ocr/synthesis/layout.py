"""Print a receipt: choose fonts, and place words and marks on the flat paper."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import Polygon, rectangle
from receipt_ocr.synthesis.ink import PRINT_SCALE, Tile, draw_mark, render_word
from receipt_ocr.synthesis.text import Cell, Mark, Row

MARGIN = 1.5
"""Paper pixels between a word's ink and its polygon, as human annotators leave them."""

_DIGIT_SHARE = 0.70  # height of a digit, as a share of the em, in the fonts below
_ASCENT, _DESCENT = 0.82, 0.22  # of the highest and the lowest glyph, as shares of the em

_HANGUL_FONTS = (
    ("NanumGothic.ttf", "NanumGothicBold.ttf"),
    ("NanumGothicBold.ttf", "NanumGothicExtraBold.ttf"),
    ("NanumGothicLight.ttf", "NanumGothicBold.ttf"),
)
_LATIN_FONTS = (
    ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    ("DejaVuSansMono-Bold.ttf", "DejaVuSansMono-Bold.ttf"),
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
)


@dataclass(frozen=True)
class SyntheticWord:
    """One word: its outline and what it says."""

    polygon: Polygon
    """(P, 2), in paper pixels on the flat paper, in page pixels on the page."""
    transcription: str


@dataclass(frozen=True)
class PrintedPaper:
    """A flat receipt."""

    ink: NDArray[np.uint8]
    """(height * PRINT_SCALE, width * PRINT_SCALE), 0 where the paper is blank."""
    words: tuple[SyntheticWord, ...]
    """Their boxes are (4, 2), clockwise from the top left."""
    width: int
    """Paper, in paper pixels."""
    height: int
    """Paper, in paper pixels."""


@dataclass(frozen=True)
class _Style:
    """The habits of one printer; lengths are in digit heights."""

    hangul_fonts: tuple[str, str]  # plain, bold
    latin_fonts: tuple[str, str]
    stretch: float  # factor on the width of the glyphs
    leading: float
    word_gap: float


@dataclass(frozen=True)
class _Placed:
    """A word's tile or a mark, with its top left corner and size in print pixels."""

    content: Tile | Mark
    left: int
    top: int
    width: int
    height: int


def print_receipt(
    rows: Sequence[Row | Mark],
    rng: np.random.Generator,
    max_size: tuple[int, int],
    min_text_height: float,
) -> PrintedPaper | None:
    """Print a receipt as large as it fits, on paper cut after the last row; None if it cannot fit.

    Sizes are in paper pixels: ``max_size`` is the width and greatest height of the paper,
    ``min_text_height`` the smallest height of a digit in the body text.
    """
    width, max_height = max_size
    style = _draw_style(rng)
    border = int(width * rng.uniform(0.03, 0.07)) * PRINT_SCALE
    text_width = width * PRINT_SCALE - 2 * border
    room = max_height * PRINT_SCALE - 2 * border
    text_height = min_text_height * rng.uniform(1.0, 1.6)
    placed, used = _set_rows(rows, style, text_width, text_height)
    while used > room and text_height > min_text_height:
        text_height = max(min_text_height, text_height * min(0.95, room / used))
        placed, used = _set_rows(rows, style, text_width, text_height)
    if used > room:  # last resort: the closest spacing and no codes
        rows = [row for row in rows if not (isinstance(row, Mark) and "code" in row.kind)]
        placed, used = _set_rows(rows, replace(style, leading=0.0), text_width, text_height)
    if used > room:
        return None
    height = (used + 2 * border) // PRINT_SCALE
    ink = _draw_ink(placed, rng, (height * PRINT_SCALE, width * PRINT_SCALE), border)
    words = [_box_word(item, border) for item in placed if isinstance(item.content, Tile)]
    return PrintedPaper(ink, tuple(words), width, height)


def _draw_style(rng: np.random.Generator) -> _Style:
    hangul_fonts = _HANGUL_FONTS[int(rng.choice(3, p=[0.5, 0.35, 0.15]))]
    latin = int(rng.integers(5))
    return _Style(
        hangul_fonts=hangul_fonts,
        latin_fonts=_LATIN_FONTS[latin] if latin < 3 else hangul_fonts,
        stretch=rng.uniform(0.86, 1.06),
        leading=rng.uniform(0.4, 0.9),
        word_gap=rng.uniform(0.7, 1.0),
    )


def _set_rows(
    rows: Sequence[Row | Mark], style: _Style, width: int, text_height: float
) -> tuple[list[_Placed], int]:
    """Place all rows from the origin downwards; return them and their height, in print pixels."""
    unit = text_height * PRINT_SCALE
    # The boxes of two lines must not touch, and each reaches MARGIN into the white between them.
    leading = round(max(style.leading * unit, (2 * MARGIN + 1) * PRINT_SCALE))
    placed: list[_Placed] = []
    top = 0
    for row in rows:
        if isinstance(row, Mark):
            mark = _place_mark(row, width, unit)
            placed.append(replace(mark, top=top))
            top += mark.height + leading
            continue
        for line, em in _break_row(row, style, width, unit):
            baseline = top + round(_ASCENT * em)
            placed += [replace(item, top=baseline + item.top) for item in line]
            top = baseline + round(_DESCENT * em) + leading
    return placed, top - leading


def _place_mark(mark: Mark, width: int, unit: float) -> _Placed:
    heights = {"solid": 0.2, "dashed": 0.2, "double": 0.5, "stars": 0.8, "barcode": 3.5}
    height = round(max(2.0, heights.get(mark.kind, 6.0) * unit))
    widths = {"barcode": round(0.7 * width), "matrix code": height}
    mark_width = widths.get(mark.kind, width)
    return _Placed(mark, (width - mark_width) // 2, 0, mark_width, height)


def _break_row(row: Row, style: _Style, width: int, unit: float) -> list[tuple[list[_Placed], int]]:
    """Set a row in one line or more.

    Returns:
        Each line and its em in print pixels; the items' tops are relative to the baseline.
    """
    em = round(row.size * unit / _DIGIT_SHARE)
    cells = [_set_cell(cell, row, style, em, width) for cell in row.cells]
    if len(cells) > 1:
        gap = style.word_gap * em * _DIGIT_SHARE
        ends = [(cell[0].left, cell[-1].left + cell[-1].width) for cell in cells]
        if all(left[1] + gap <= right[0] for left, right in pairwise(ends)):
            return [([item for cell in cells for item in cell], em)]
        # As tills do with a long name: it gets a line of its own, and its numbers the next one.
        parts = [replace(row, cells=row.cells[:1]), replace(row, cells=row.cells[1:])]
    else:
        words = row.cells[0].words
        used = cells[0][-1].left + cells[0][-1].width - cells[0][0].left
        if used <= width:
            return [(cells[0], em)]
        size = row.size * min(0.97, width / used)
        half = (len(words) + 1) // 2
        if size >= 1 or half == len(words):  # a title shrinks, and so must a single word
            parts = [replace(row, size=size)]
        else:
            halves = (words[:half], words[half:])
            parts = [replace(row, cells=(replace(row.cells[0], words=part),)) for part in halves]
    return [line for part in parts for line in _break_row(part, style, width, unit)]


def _set_cell(cell: Cell, row: Row, style: _Style, em: int, width: int) -> list[_Placed]:
    """Place a cell's words side by side on the line."""
    gap = round(max(style.word_gap * em * _DIGIT_SHARE, (2 * MARGIN + 2) * PRINT_SCALE))
    tiles = []
    for word in cell.words:
        has_hangul = any("가" <= character <= "힣" for character in word)
        fonts = style.hangul_fonts if has_hangul else style.latin_fonts
        tiles.append(render_word(word, fonts[row.is_bold], em, style.stretch))
    used = sum(tile.ink.shape[1] for tile in tiles) + gap * (len(tiles) - 1)
    held = {"left": 0.0, "center": 0.5, "right": 1.0}[cell.anchor]
    left = max(0, min(round(cell.at * width - held * used), width - used))
    placed = []
    for tile in tiles:
        height, tile_width = tile.ink.shape
        placed.append(_Placed(tile, left, tile.top, tile_width, height))
        left += tile_width + gap
    return placed


def _box_word(item: _Placed, border: int) -> SyntheticWord:
    left = (item.left + border) / PRINT_SCALE - MARGIN
    top = (item.top + border) / PRINT_SCALE - MARGIN
    right = (item.left + item.width + border) / PRINT_SCALE + MARGIN
    bottom = (item.top + item.height + border) / PRINT_SCALE + MARGIN
    text = item.content.text if isinstance(item.content, Tile) else ""
    return SyntheticWord(rectangle(left, top, right, bottom), text)


def _draw_ink(
    placed: Sequence[_Placed], rng: np.random.Generator, shape: tuple[int, int], border: int
) -> NDArray[np.uint8]:
    ink = np.zeros(shape, dtype=np.uint8)
    for item in placed:
        left, top = item.left + border, item.top + border
        if isinstance(item.content, Tile):
            patch = item.content.ink
        else:
            patch = draw_mark(item.content.kind, (item.height, item.width), rng)
        ink[top : top + item.height, left : left + item.width] = patch
    # A thermal print head heats unevenly, so the print fades in bands along the paper.
    bands = rng.uniform(0.78, 1.0, (max(2, shape[0] // 60), 1)).astype(np.float32)
    fade = cv2.resize(bands, (1, shape[0]), interpolation=cv2.INTER_CUBIC)
    faded: NDArray[np.uint8] = np.clip(ink * fade.reshape(-1, 1), 0, 255).astype(np.uint8)
    return faded
