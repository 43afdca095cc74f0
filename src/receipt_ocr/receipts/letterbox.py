"""The frame that a page is resized and padded to, and the exact way back.

This is the contest's letterbox: the longest side becomes ``size``, both new sides are truncated
with ``int()``, and the page is centred with ``(side - new_side) // 2`` pixels on the left and
top. Because of the truncation, the scales in x and y differ slightly; whoever takes one scale for
both puts words up to a pixel off. Coordinates have their origin at the corner of the top-left
pixel, so there is no half-pixel shift.
"""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import Matrix
from receipt_ocr.receipts.settings import STRIDE

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """Where a page lies in the network's input; all sides in pixels."""

    height: int
    width: int
    page_height: int
    """Upright page."""
    page_width: int
    """Upright page."""
    inner_height: int
    """Resized page inside the frame."""
    inner_width: int
    """Resized page inside the frame."""

    @property
    def left(self) -> int:
        """Columns of padding before the page."""
        return (self.width - self.inner_width) // 2

    @property
    def top(self) -> int:
        """Rows of padding above the page."""
        return (self.height - self.inner_height) // 2

    @property
    def map_to_page(self) -> Matrix:
        """3x3 matrix from frame pixels to upright page pixels."""
        x_scale = self.page_width / self.inner_width
        y_scale = self.page_height / self.inner_height
        return np.array(
            [[x_scale, 0.0, -self.left * x_scale], [0.0, y_scale, -self.top * y_scale], [0, 0, 1]]
        )

    @property
    def page_to_map(self) -> Matrix:
        """3x3 matrix from upright page pixels to frame pixels."""
        x_scale = self.inner_width / self.page_width
        y_scale = self.inner_height / self.page_height
        return np.array([[x_scale, 0.0, self.left], [0.0, y_scale, self.top], [0.0, 0.0, 1.0]])

    def blank_padding(self, probability: NDArray[np.floating[Any]]) -> None:
        """Set a (height, width) map of the frame to 0 outside the page, in place."""
        probability[: self.top] = 0.0
        probability[self.top + self.inner_height :] = 0.0
        probability[:, : self.left] = 0.0
        probability[:, self.left + self.inner_width :] = 0.0


def fit_frame(
    page_width: int, page_height: int, size: int, shape: Literal["square", "page"] = "square"
) -> Frame:
    """Find the frame of a page whose longest side is resized to ``size`` pixels.

    ``square`` pads to (size, size), ``page`` only to multiples of 32.

    Raises:
        ValueError: If a side is not positive.
    """
    if min(page_width, page_height, size) < 1:
        raise ValueError(
            f"page and frame need positive sides, got {page_width}x{page_height} at {size}"
        )
    scale = size / max(page_width, page_height)
    inner_width = max(1, int(page_width * scale))
    inner_height = max(1, int(page_height * scale))
    if shape == "square":
        width = height = size
    else:
        width, height = (-(-side // STRIDE) * STRIDE for side in (inner_width, inner_height))
    return Frame(height, width, page_height, page_width, inner_height, inner_width)


def letterbox(image: Image, frame: Frame) -> Image:
    """Resize a page (page_height, page_width, 3) into its frame (height, width, 3), else black.

    Raises:
        ValueError: If the image is not of the frame's page size.
    """
    if image.shape[:2] != (frame.page_height, frame.page_width):
        raise ValueError(
            f"the frame is for a page of {frame.page_width}x{frame.page_height} pixels, "
            f"the image has {image.shape[1]}x{image.shape[0]}"
        )
    return place_page(resize_page(image, frame.inner_width, frame.inner_height), frame)


def place_page(resized: Image, frame: Frame) -> Image:
    """Put a page that is already resized to the frame's inner size in its frame."""
    framed = np.zeros((frame.height, frame.width, 3), dtype=np.uint8)
    rows = slice(frame.top, frame.top + frame.inner_height)
    columns = slice(frame.left, frame.left + frame.inner_width)
    framed[rows, columns] = resized
    return framed


def resize_page(image: Image, width: int, height: int) -> Image:
    """Resize an image; shrinking averages over areas, so that thin strokes survive."""
    if (image.shape[1], image.shape[0]) == (width, height):
        return image
    shrinks = width * height < image.shape[0] * image.shape[1]
    resized = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return resized.astype(np.uint8, copy=False)
