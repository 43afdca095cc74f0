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
from receipt_ocr.receipts.letterbox import resize_page
from receipt_ocr.receipts.settings import AugmentationSettings

__all__ = ["View", "cut_words", "draw_view", "recolour", "render_view"]

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """A random window on a page.

    Attributes:
        height: Of the window, pixels.
        width: Of the window, pixels.
        resized_height: Of the page before it is turned and cut, pixels.
        resized_width: Of the page before it is turned and cut, pixels.
        resized_to_view: 3x3 matrix from the resized page to the window.
        page_to_view: 3x3 matrix from the upright page to the window.
    """

    height: int
    width: int
    resized_height: int
    resized_width: int
    resized_to_view: Matrix
    page_to_view: Matrix


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
    factor = longest_side / max(page_size) * rng.uniform(settings.scale_low, settings.scale_high)
    height, width = (max(1, int(side * factor)) for side in page_size)
    angle = np.deg2rad(rng.uniform(-settings.rotation, settings.rotation))
    mirror = -1.0 if rng.random() < settings.horizontal_flip else 1.0
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[mirror * cosine, -mirror * sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    turned = transform_polygon(corners, turn)
    low, high = turned.min(axis=0), turned.max(axis=0)
    # Where the page is larger than the window, any window inside it is as likely; where it is
    # smaller, it may lie anywhere inside the window. Whole pixels keep an unturned page sharp.
    slack = np.array([window[1], window[0]]) - (high - low)
    resized_to_view = _translation(*np.round(rng.uniform(0.0, 1.0, 2) * slack - low)) @ turn
    resize = np.diag([width / page_size[1], height / page_size[0], 1.0])
    return View(*window, height, width, resized_to_view, resized_to_view @ resize)


def render_view(image: Image, view: View) -> Image:
    """The (view.height, view.width, 3) pixels of a view of the upright page, black outside it."""
    resized = resize_page(image, view.resized_width, view.resized_height)
    # OpenCV places pixel centres on whole numbers, our frames place pixel corners there.
    centred = _translation(-0.5, -0.5) @ view.resized_to_view @ _translation(0.5, 0.5)
    warped = cv2.warpAffine(resized, centred[:2], (view.width, view.height), flags=cv2.INTER_LINEAR)
    return warped.astype(np.uint8, copy=False)


def cut_words(
    polygons: list[Polygon], ignored: list[bool], view: View, min_visible: float
) -> tuple[list[Polygon], list[bool]]:
    """The words of a view: clipped to it, and masked where too little of one is left to learn.

    Args:
        polygons: In upright page pixels.
        ignored: Which of them are don't-care.
        view: The window.
        min_visible: A word keeps its label only if at least this share of its area is inside.

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
        masked.append(is_ignored or visible < min_visible)
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
