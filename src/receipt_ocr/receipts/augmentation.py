"""Random changes of a training page: its words in a random view, and its colours.

The view itself, which moves image and polygons by one matrix, is in `receipt_ocr.receipts.view`,
colours are in `receipt_ocr.receipts.colours`.
"""

from receipt_ocr.geometry.polygons import Polygon, clip_to_pieces, transform_polygon
from receipt_ocr.receipts.colours import check_pixels, recolour
from receipt_ocr.receipts.settings import AugmentationSettings
from receipt_ocr.receipts.view import View, canvas_size, draw_view, render_view

__all__ = [
    "View",
    "canvas_size",
    "check_pixels",
    "cut_words",
    "draw_view",
    "recolour",
    "render_view",
]

_VISIBLE_TOLERANCE = 1e-9  # of a share of an area


def cut_words(
    polygons: list[Polygon], ignored: list[bool], view: View, settings: AugmentationSettings
) -> tuple[list[Polygon], list[bool]]:
    """The words of a view, and what becomes of those that its window cuts.

    By ``settings.cut_words`` a word that is cut but visible enough is clipped to the window, is
    masked, or stays whole. One that is visible too little (``settings.min_visible``) is masked.
    Where the window leaves several pieces of a word, under ``clip`` its largest is the word and
    the others are masked.

    Args:
        polygons: In upright page pixels.
        ignored: Which of them are don't-care.
        view: The window.
        settings: The rule.

    Returns:
        Polygons in the view's pixels and whether each is don't-care; words wholly outside it
        are gone.
    """
    inside: list[Polygon] = []
    masked: list[bool] = []
    for polygon, is_ignored in zip(polygons, ignored, strict=True):
        word = transform_polygon(polygon, view.page_to_view)
        pieces, visible = clip_to_pieces(word, view.width, view.height)
        if not pieces:
            continue
        if _is_inside(word, view):
            inside.append(word)
            masked.append(is_ignored)
            continue
        is_enough = visible >= settings.min_visible - _VISIBLE_TOLERANCE
        is_learnt = is_enough and not is_ignored and settings.cut_words != "mask"
        if is_learnt and settings.cut_words == "keep":
            inside.append(word)
            masked.append(False)
        else:
            inside += pieces
            masked += [not is_learnt, *[True] * (len(pieces) - 1)]
    return inside, masked


def _is_inside(word: Polygon, view: View) -> bool:
    low, high = word.min(axis=0), word.max(axis=0)
    return bool(low.min() >= 0.0 and high[0] <= view.width and high[1] <= view.height)
