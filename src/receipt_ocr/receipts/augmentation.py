"""Random views of a training page: mirror, turns, perspective, scale and window.

All of them make up one 3x3 matrix, which moves the image and the polygons alike. Colours are
changed in `receipt_ocr.receipts.colours`.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import (
    Matrix,
    Polygon,
    clip_to_pieces,
    distance_outside,
    polygon_area,
    rectangle,
    signed_area,
    transform_polygon,
)
from receipt_ocr.receipts.letterbox import resize_page
from receipt_ocr.receipts.settings import AugmentationSettings

Image = NDArray[np.uint8]

_COARSEST = 0.5  # below this scale, bilinear sampling would miss strokes
_VISIBLE_TOLERANCE = 1e-9  # of a share of an area


@dataclass(frozen=True)
class View:
    """A random window on a page. The page resized to its largest scale is called the canvas."""

    height: int
    """Window, pixels."""
    width: int
    """Window, pixels."""
    canvas_height: int
    canvas_width: int
    canvas_to_view: Matrix
    """3x3, from canvas pixels to window pixels."""
    page_to_view: Matrix
    """3x3, from upright page pixels to window pixels."""

    @property
    def page_corners(self) -> Polygon:
        """The page's outline in window pixels, (4, 2)."""
        canvas = rectangle(0, 0, self.canvas_width, self.canvas_height)
        return transform_polygon(canvas, self.canvas_to_view)

    def page_mask(self) -> NDArray[np.uint8]:
        """(height, width), 1 where the window shows the page and 0 beside it.

        A pixel belongs to the page if its centre is inside the page's outline. The outline is
        convex, so each row has one run of such pixels, between a left and a right edge.
        """
        corners = self.page_corners
        turn = 1.0 if signed_area(corners) > 0.0 else -1.0
        rows = np.arange(self.height) + 0.5
        first, last = np.zeros(self.height), np.full(self.height, float(self.width))
        for k in range(4):
            (x1, y1), (x2, y2) = corners[k - 1], corners[k]
            across, down = turn * (y2 - y1), turn * (x2 - x1)
            if across == 0.0:  # a level edge is above or below whole rows
                last[down * (rows - y1) < 0.0] = 0.0
                continue
            # Inside is where down * (y - y1) - across * (x - x1) >= 0.
            edge = x1 + (rows - y1) * (down / across)
            if across < 0.0:
                np.maximum(first, edge, out=first)
            else:
                np.minimum(last, edge, out=last)
        # In 16 bits, because the processor then compares many columns at a time.
        ends = np.ceil(np.clip([first, last], 0.0, self.width) - 0.5).astype(np.int16)
        columns = np.arange(self.width, dtype=np.int16)
        inside: NDArray[np.bool_] = columns >= ends[0][:, None]
        inside &= columns < ends[1][:, None]
        return inside.view(np.uint8)


def canvas_size(
    page_size: tuple[int, int], longest_side: int, settings: AugmentationSettings
) -> tuple[int, int]:
    """(height, width) of the canvas: the page at the largest scale that a sample may have.

    ``page_size`` and ``longest_side`` are those of `draw_view`.
    """
    factor = longest_side / max(page_size) * settings.scale_high
    height, width = (max(1, int(side * factor)) for side in page_size)
    return height, width


def draw_view(
    page_size: tuple[int, int],
    longest_side: int,
    window: tuple[int, int],
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> View:
    """Draw scale, turns, mirrors, perspective and window of one training sample.

    Without scale, rotation and perspective the page moves by whole pixels, so it stays sharp.
    Sizes are (height, width); ``longest_side`` is that of the resized page at scale 1, in pixels.
    """
    height, width = canvas_size(page_size, longest_side, settings)
    scale = rng.uniform(settings.scale_low, settings.scale_high) / settings.scale_high
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    mirror = -1.0 if rng.random() < settings.horizontal_flip else 1.0
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    change = _linear(cosine, -sine, sine, cosine) @ _draw_turns(settings, rng)
    change = _linear(mirror, 0.0, 0.0, 1.0) @ change
    change = change @ _draw_perspective(width, height, settings, rng)
    corners = transform_polygon(rectangle(0, 0, width, height), change)
    low, high = corners.min(axis=0), corners.max(axis=0)
    # Along an axis where the page is larger than the window, the window lies anywhere inside the
    # page; where it is smaller, the page lies anywhere inside the window.
    slack = np.array([window[1], window[0]]) - (high - low)
    canvas_to_view = _translation(*np.round(rng.uniform(0.0, 1.0, 2) * slack - low)) @ change
    resize = np.diag([width / page_size[1], height / page_size[0], 1.0])
    return View(*window, height, width, canvas_to_view, canvas_to_view @ resize)


def render_view(canvas: Image, view: View) -> Image:
    """Render the (view.height, view.width, 3) pixels of a view, black beside the page.

    Pixels that only change their place are copied; otherwise the canvas is sampled bilinearly,
    once. If the view is at less than half the canvas' scale, the canvas is averaged down to the
    view's scale first, so that strokes survive.

    Args:
        canvas: The upright page at the view's canvas size; it is not changed.
        view: From `draw_view`.

    Raises:
        ValueError: If the canvas is of another size.
    """
    if canvas.shape[:2] != (view.canvas_height, view.canvas_width):
        raise ValueError(
            f"the view is of a page of {view.canvas_width}x{view.canvas_height} pixels, the image "
            f"has {canvas.shape[1]}x{canvas.shape[0]}"
        )
    matrix = view.canvas_to_view
    if _moves_whole_pixels(matrix):
        return _copy_pixels(canvas, view)
    scale = math.sqrt(polygon_area(view.page_corners) / (view.canvas_height * view.canvas_width))
    if scale < _COARSEST:
        width, height = (max(1, round(side * scale)) for side in canvas.shape[1::-1])
        matrix = matrix @ np.diag([canvas.shape[1] / width, canvas.shape[0] / height, 1.0])
        canvas = resize_page(canvas, width, height)
    # OpenCV places pixel centres on whole numbers, our frames place pixel corners there.
    centred = _translation(-0.5, -0.5) @ matrix @ _translation(0.5, 0.5)
    size = (view.width, view.height)
    if _is_affine(matrix):
        warped = cv2.warpAffine(canvas, centred[:2], size, flags=cv2.INTER_LINEAR)
    else:
        warped = cv2.warpPerspective(canvas, centred, size, flags=cv2.INTER_LINEAR)
    return warped.astype(np.uint8, copy=False)


def cut_words(
    polygons: list[Polygon], ignored: list[bool], view: View, settings: AugmentationSettings
) -> tuple[list[Polygon], list[bool]]:
    """Move words into a view and treat those that its window cuts.

    ``settings.cut_words`` decides whether a word that is cut but visible enough is clipped to the
    window, masked, or kept whole. One that is visible too little (``settings.min_visible``) is
    masked. Where clipping leaves several pieces of a word, the largest is the word and the others
    are masked.

    Returns:
        Polygons in window pixels, and whether each is don't-care. Words wholly outside the window
        are left out.
    """
    inside: list[Polygon] = []
    masked: list[bool] = []
    for polygon, is_ignored in zip(polygons, ignored, strict=True):
        word = transform_polygon(polygon, view.page_to_view)
        if distance_outside(word, view.width, view.height) == 0:
            inside.append(word)
            masked.append(is_ignored)
            continue
        pieces, visible = clip_to_pieces(word, view.width, view.height)
        if not pieces:
            continue
        is_enough = visible >= settings.min_visible - _VISIBLE_TOLERANCE
        is_learnt = is_enough and not is_ignored and settings.cut_words != "mask"
        if is_learnt and settings.cut_words == "keep":
            pieces = [word]
        inside += pieces
        masked += [not is_learnt, *[True] * (len(pieces) - 1)]
    return inside, masked


def _draw_turns(settings: AugmentationSettings, rng: np.random.Generator) -> Matrix:
    """Upside-down mirror and quarter turns, as matrices of whole numbers."""
    turns = np.eye(3)
    # What is switched off draws no random number: otherwise all samples would change.
    if settings.vertical_flip and rng.random() < settings.vertical_flip:
        turns = _linear(1.0, 0.0, 0.0, -1.0)
    if settings.quarter_turns and rng.random() < settings.quarter_turns:
        quarter = _linear(0.0, -1.0, 1.0, 0.0)
        turns = np.linalg.matrix_power(quarter, int(rng.integers(1, 4))) @ turns
    return turns


def _draw_perspective(
    width: int, height: int, settings: AugmentationSettings, rng: np.random.Generator
) -> Matrix:
    """The perspective that shifts each corner of a page by a random vector of its own."""
    if not settings.perspective:
        return np.eye(3)
    corners = rectangle(0, 0, width, height)
    shifts = rng.uniform(-settings.perspective, settings.perspective, (4, 2)) * (width, height)
    moved = (corners + shifts).astype(np.float32)
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved).astype(np.float64)


def _moves_whole_pixels(matrix: Matrix) -> bool:
    """Whether a matrix only mirrors, turns by quarters and moves by whole pixels."""
    linear = np.abs(matrix[:2, :2])
    swaps = np.array_equal(linear, [[0, 1], [1, 0]])
    is_whole = bool((matrix == np.round(matrix)).all())
    return is_whole and _is_affine(matrix) and (swaps or np.array_equal(linear, np.eye(2)))


def _copy_pixels(canvas: Image, view: View) -> Image:
    """Render a view whose matrix only mirrors, turns by quarters and moves by whole pixels."""
    across, down = view.canvas_to_view[:2, :2]
    upright = canvas if across[0] else canvas.swapaxes(0, 1)
    left, top = view.page_corners.min(axis=0).astype(int).tolist()
    rows, own_rows = _overlap(top, upright.shape[0], view.height, is_mirrored=down.sum() < 0)
    columns, own_columns = _overlap(
        left, upright.shape[1], view.width, is_mirrored=across.sum() < 0
    )
    part = np.ascontiguousarray(upright[own_rows, own_columns])
    if part.size and (across.sum() < 0 or down.sum() < 0):  # NumPy mirrors slowly
        code = -1 if across.sum() == down.sum() else int(across.sum() < 0)
        part = cv2.flip(part, code).astype(np.uint8, copy=False)
    if part.shape[:2] == (view.height, view.width):
        return part.copy() if np.shares_memory(part, canvas) else part
    window = np.zeros((view.height, view.width, 3), dtype=np.uint8)
    window[rows, columns] = part
    return window


def _overlap(start: int, page: int, window: int, *, is_mirrored: bool) -> tuple[slice, slice]:
    """Where a page that begins at ``start`` lies in a window, and which part of it that is."""
    first, stop = max(0, start), max(0, min(window, start + page))
    own_first, own_stop = first - start, max(first, stop) - start
    if is_mirrored:
        own_first, own_stop = page - own_stop, page - own_first
    return slice(first, max(first, stop)), slice(own_first, own_stop)


def _is_affine(matrix: Matrix) -> bool:
    return bool(np.array_equal(matrix[2], [0.0, 0.0, 1.0]))


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _linear(xx: float, xy: float, yx: float, yy: float) -> Matrix:
    return np.array([[xx, xy, 0.0], [yx, yy, 0.0], [0.0, 0.0, 1.0]])
