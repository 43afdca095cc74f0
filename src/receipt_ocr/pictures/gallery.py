"""Pictures of pages with their true words, the words found, and the errors between them.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart; each kind of
error also has a shape of its own, so that a grey print still reads.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from receipt_ocr.evaluation.cleval import PageScore
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.pictures.legend import (
    INK,
    PAPER,
    Colour,
    LegendEntry,
    Picture,
    draw_legend,
    fit_legend,
    load_font,
)

TRUTH: Colour = (0, 158, 115)  # bluish green
FOUND: Colour = (0, 114, 178)  # blue
MISSED: Colour = (213, 60, 0)  # vermilion, a little redder
FALSE: Colour = (230, 159, 0)  # orange
CUT: Colour = (204, 80, 167)  # reddish purple: split and merged

FADE = 0.3  # how much of the page goes to white, so that outlines stand out
TINT = 0.45  # opacity of a fill
CAPTION_TEXT = 13
CAPTION_ROW = 22
GAP = 8
QUALITY = 80


def draw_page(
    image: Picture,
    truth: Sequence[ArrayLike],
    detections: Sequence[ArrayLike],
    score: PageScore | None = None,
    *,
    height: int = 900,
) -> Picture:
    """Draw a page with its words: truth green, detections blue, errors on top.

    Missed truths are filled red, false detections are crossed orange boxes; a split truth and a
    merged detection have a purple outline and the letter S or M.

    Args:
        image: (H, W, 3) RGB, the upright page.
        truth: (P, 2) polygons in page pixels.
        detections: (P, 2) polygons in page pixels.
        score: Score of the detections, which names the errors; None draws outlines only.
        height: Of the picture in pixels, legend included.

    Returns:
        (height, w, 3) RGB.

    Raises:
        ValueError: If the image is not (H, W, 3) or ``height`` leaves the page no room.
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be (H, W, 3), got shape {image.shape}")
    entries = _legend_entries(len(truth), len(detections), score)
    width, page_height, rows = fit_legend(image, entries, height)
    canvas = fade_page(image, width, page_height)
    scale = np.array([width / image.shape[1], page_height / image.shape[0]])
    words = [np.asarray(polygon, dtype=np.float64) * scale for polygon in truth]
    found = [np.asarray(polygon, dtype=np.float64) * scale for polygon in detections]
    thin = max(1, round(page_height / 700))
    # Truth is the wider line, so that it shows around a detection that lies exactly on it; small
    # pictures have no pixel to spare.
    thick = 2 * thin if page_height >= 500 else 1
    _outline(canvas, words, TRUTH, thick)
    _outline(canvas, found, FOUND, thin)
    if score is not None:
        _mark_errors(canvas, words, found, score, (thin, thick))
    return np.concatenate([canvas, draw_legend(rows, width, height - page_height)])


def contact_sheet(tiles: Sequence[Picture], captions: Sequence[str], columns: int) -> Picture:
    """Lay out pictures, (h, w, 3) RGB of any size, in rows of at most ``columns``.

    Each has its caption below; long captions are cut.

    Raises:
        ValueError: If there are no tiles, captions are not one a tile, or ``columns`` is under 1.
    """
    if not tiles or len(tiles) != len(captions) or columns < 1:
        raise ValueError(
            f"a sheet needs tiles, a caption each and a column or more, got {len(tiles)} tiles, "
            f"{len(captions)} captions, {columns} columns"
        )
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    cell_width = max(tile.shape[1] for tile in tiles)
    cell_height = max(tile.shape[0] for tile in tiles) + CAPTION_ROW
    size = (columns * (cell_width + GAP) + GAP, rows * (cell_height + GAP) + GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    font = load_font(CAPTION_TEXT)
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(index, columns)
        left, top = GAP + column * (cell_width + GAP), GAP + row * (cell_height + GAP)
        sheet.paste(Image.fromarray(tile), (left + (cell_width - tile.shape[1]) // 2, top))
        text = _shorten(caption, cell_width, font)
        place = (left + cell_width / 2, top + tile.shape[0] + CAPTION_ROW / 2)
        pen.text(place, text, fill=INK, font=font, anchor="mm")
    return np.array(sheet)


def encode_jpeg(picture: Picture) -> bytes:
    """An (H, W, 3) RGB picture as the content of a JPEG file."""
    content = BytesIO()
    Image.fromarray(picture).save(content, format="jpeg", quality=QUALITY)
    return content.getvalue()


def fade_page(image: Picture, width: int, height: int) -> Picture:
    """A page in another size, paled so that outlines stand out."""
    resized = resize(image, (width, height))
    return np.round(resized * (1 - FADE) + 255 * FADE).astype(np.uint8)


def resize(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An (H, W) or (H, W, 3) array in another size (width, height)."""
    shrinks = size[1] < values.shape[0]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _mark_errors(
    canvas: Picture,
    words: Sequence[Polygon],
    found: Sequence[Polygon],
    score: PageScore,
    lines: tuple[int, int],
) -> None:
    """Draw the errors that a score names; ``lines`` are the thin and the thick width."""
    thin, thick = lines
    missed, false = _chosen(words, score.missed), _chosen(found, score.false)
    _tint(canvas, missed, MISSED)
    _outline(canvas, missed, MISSED, thick)
    _outline(canvas, false, FALSE, thick)
    _cross(canvas, false, FALSE, thin)
    for polygons, letter in (
        (_chosen(words, score.split), "S"),
        (_chosen(found, score.merged), "M"),
    ):
        _outline(canvas, polygons, CUT, thick)
        _letter(canvas, polygons, letter)


def _legend_entries(truth: int, found: int, score: PageScore | None) -> list[LegendEntry]:
    entries = [
        LegendEntry(f"truth {truth}", TRUTH, "line"),
        LegendEntry(f"found {found}", FOUND, "line"),
    ]
    if score is None:
        return entries
    errors = [
        LegendEntry(f"missed {len(score.missed)}", MISSED, "fill"),
        LegendEntry(f"false {len(score.false)}", FALSE, "cross"),
        LegendEntry(f"S split {len(score.split)}", CUT, "line"),
        LegendEntry(f"M merged {len(score.merged)}", CUT, "line"),
    ]
    figures = f"P {score.precision:.3f}  R {score.recall:.3f}  H {score.hmean:.3f}"
    return [*entries, *errors, LegendEntry(figures, INK, "none")]


def _chosen(polygons: Sequence[Polygon], indices: Sequence[int]) -> list[Polygon]:
    return [polygons[index] for index in indices]


def _whole(polygon: Polygon) -> NDArray[np.int32]:
    return np.round(polygon).astype(np.int32)


def _outline(canvas: Picture, polygons: Sequence[Polygon], colour: Colour, width: int) -> None:
    cv2.polylines(canvas, [_whole(p) for p in polygons], True, colour, width, cv2.LINE_AA)


def _tint(canvas: Picture, polygons: Sequence[Polygon], colour: Colour) -> None:
    filled = canvas.copy()
    for polygon in polygons:
        cv2.fillPoly(filled, [_whole(polygon)], colour)
    cv2.addWeighted(filled, TINT, canvas, 1 - TINT, 0, canvas)


def _cross(canvas: Picture, polygons: Sequence[Polygon], colour: Colour, width: int) -> None:
    for polygon in polygons:
        (left, top), (right, bottom) = _whole(polygon.min(axis=0)), _whole(polygon.max(axis=0))
        ends = np.array([[left, top, right, bottom], [left, bottom, right, top]]).tolist()
        for x1, y1, x2, y2 in ends:
            cv2.line(canvas, (x1, y1), (x2, y2), colour, width, cv2.LINE_AA)


def _letter(canvas: Picture, polygons: Sequence[Polygon], letter: str) -> None:
    """Write a letter at the left end of each polygon, white on purple."""
    side = max(9, round(canvas.shape[0] / 80))
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    for polygon in polygons:
        left, top = polygon.min(axis=0)
        middle = (top + polygon[:, 1].max()) / 2
        x = max(0.0, left - side)
        pen.rectangle((x, middle - side / 2, x + side, middle + side / 2), fill=CUT)
        pen.text((x + side / 2, middle), letter, PAPER, load_font(side), anchor="mm")
    canvas[:] = np.array(picture)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
