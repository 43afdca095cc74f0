"""Random views of a training page: the image and its polygons move by one matrix.

Geometry is drawn here as one affine matrix, so that polygons follow exactly; what only changes
colours is albumentations'.
"""

import os
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry import Matrix, Polygon, clip_to_page, polygon_area, transform_polygon
from receipt_ocr.receipts.settings import AugmentationSettings

__all__ = ["View", "canvas_size", "cut_words", "draw_view", "recolour", "render_view"]

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """A random window on a page.

    Attributes:
        height: Of the window, pixels.
        width: Of the window, pixels.
        canvas_height: Of the resized page that the window is cut from, pixels.
        canvas_width: Of the same, pixels.
        canvas_to_view: 3x3 matrix from the resized page to the window.
        page_to_view: 3x3 matrix from the upright page to the window.
    """

    height: int
    width: int
    canvas_height: int
    canvas_width: int
    canvas_to_view: Matrix
    page_to_view: Matrix

    def page_mask(self) -> NDArray[np.uint8]:
        """(height, width), 1 where the window shows the page and 0 beside it."""
        mask = np.zeros((self.height, self.width), dtype=np.uint8)
        corners = transform_polygon(
            _rectangle(self.canvas_width, self.canvas_height), self.canvas_to_view
        )
        low, high = corners.min(axis=0), corners.max(axis=0)
        sides = np.abs(corners - np.roll(corners, 1, axis=0)).min(axis=1)
        if not sides.any():  # upright: to the pixel
            left, top = np.maximum(np.round(low), 0).astype(int)
            right, bottom = np.maximum(np.round(high), 0).astype(int)
            mask[top:bottom, left:right] = 1
        else:
            cv2.fillConvexPoly(mask, np.round(corners - 0.5).astype(np.int32), [1])
        return mask


def canvas_size(
    page_size: tuple[int, int], longest_side: int, settings: AugmentationSettings
) -> tuple[int, int]:
    """(height, width) that a page is resized to once, at the largest scale its samples may have.

    Args:
        page_size: (height, width) of the upright page.
        longest_side: Of the resized page at scale 1, pixels.
        settings: The ranges to draw from.
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
    """Draw scale, turn, mirror and window of one training sample.

    Args:
        page_size: (height, width) of the upright page.
        longest_side: Of the resized page at scale 1, pixels.
        window: (height, width) of the sample.
        settings: The ranges to draw from.
        rng: The only source of randomness.
    """
    height, width = canvas_size(page_size, longest_side, settings)
    scale = rng.uniform(settings.scale_low, settings.scale_high) / settings.scale_high
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    mirror = -1.0 if rng.random() < settings.horizontal_flip else 1.0
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    turn = np.array([[mirror * cosine, -mirror * sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    turned = transform_polygon(_rectangle(width, height), turn)
    low, high = turned.min(axis=0), turned.max(axis=0)
    # Where the page is larger than the window, any window inside it is as likely; where it is
    # smaller, it may lie anywhere inside the window. Whole pixels keep an unturned page sharp.
    slack = np.array([window[1], window[0]]) - (high - low)
    canvas_to_view = _translation(*np.round(rng.uniform(0.0, 1.0, 2) * slack - low)) @ turn
    resize = np.diag([width / page_size[1], height / page_size[0], 1.0])
    return View(*window, height, width, canvas_to_view, canvas_to_view @ resize)


def render_view(canvas: Image, view: View) -> Image:
    """The (view.height, view.width, 3) pixels of a view, black beside the page.

    Args:
        canvas: The upright page at the view's canvas size.
        view: From `draw_view`.

    Raises:
        ValueError: If the canvas is of another size.
    """
    if canvas.shape[:2] != (view.canvas_height, view.canvas_width):
        raise ValueError(
            f"the view is of a page of {view.canvas_width}x{view.canvas_height} pixels, the image "
            f"has {canvas.shape[1]}x{canvas.shape[0]}"
        )
    # OpenCV places pixel centres on whole numbers, our frames place pixel corners there.
    centred = _translation(-0.5, -0.5) @ view.canvas_to_view @ _translation(0.5, 0.5)
    warped = cv2.warpAffine(canvas, centred[:2], (view.width, view.height), flags=cv2.INTER_LINEAR)
    return warped.astype(np.uint8, copy=False)


def cut_words(
    polygons: list[Polygon], ignored: list[bool], view: View, settings: AugmentationSettings
) -> tuple[list[Polygon], list[bool]]:
    """The words of a view: clipped to it, and masked where too little of one is left to learn.

    Args:
        polygons: In upright page pixels.
        ignored: Which of them are don't-care.
        view: The window.
        settings: ``min_visible``: a word keeps its label only if at least this share of its area
            is inside.

    Returns:
        Polygons in the view's pixels and whether each is don't-care; words wholly outside it
        are gone.
    """
    inside: list[Polygon] = []
    masked: list[bool] = []
    for polygon, is_ignored in zip(polygons, ignored, strict=True):
        moved = transform_polygon(polygon, view.page_to_view)
        clipped = clip_to_page(moved, view.width, view.height)
        if clipped is None:
            continue
        visible = polygon_area(clipped) / max(polygon_area(moved), 1e-9)
        inside.append(clipped)
        masked.append(is_ignored or visible < settings.min_visible)
    return inside, masked


def recolour(image: Image, settings: AugmentationSettings, seed: int) -> Image:
    """Brightness, contrast and blur by albumentations; the same seed gives the same pixels."""
    if not (settings.brightness or settings.contrast or settings.blur):
        return image
    transform = _colour_transform(settings)
    transform.set_random_seed(seed)
    changed: Image = transform(image=image)["image"]
    return changed


@lru_cache(maxsize=4)
def _colour_transform(settings: AugmentationSettings):  # type: ignore[no-untyped-def]
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network otherwise
    import albumentations as alb  # noqa: PLC0415  # slow to import, needed only in training

    return alb.Compose(
        [
            alb.RandomBrightnessContrast(
                brightness_limit=settings.brightness, contrast_limit=settings.contrast, p=0.5
            ),
            alb.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.3, 1.0), p=settings.blur),
        ]
    )


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _rectangle(width: float, height: float) -> Polygon:
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    return np.array(corners, dtype=np.float64)
