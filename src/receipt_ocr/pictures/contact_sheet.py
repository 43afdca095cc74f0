"""Training samples as the network sees them, with what it has to learn laid over."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.pictures.gallery import FALSE, FOUND, contact_sheet
from receipt_ocr.pictures.legend import Colour, LegendEntry, draw_legend

__all__ = ["draw_sample", "draw_samples"]

Picture = NDArray[np.uint8]

KERNEL, BORDER = FOUND, FALSE  # blue and orange, as in the pictures of targets
UNCOUNTED: Colour = (150, 150, 150)
STRIPE: Colour = (90, 90, 90)
OPACITY = 0.55
STRIPES = 8  # pixels from one to the next
LEGEND_HEIGHT = 26
LEGEND = (
    LegendEntry("text kernels", KERNEL, "fill"),
    LegendEntry("threshold", BORDER, "fill"),
    LegendEntry("does not count: padding, ignored words", UNCOUNTED, "cross"),
)


def draw_samples(
    samples: Sequence[Mapping[str, Any]],
    captions: Sequence[str],
    *,
    columns: int = 3,
    height: int = 640,
) -> Picture:
    """A sheet of samples with one legend above them.

    Args:
        samples: As `draw_sample` takes them; their sizes may differ.
        captions: One a sample.
        columns: Samples in a row, at most.
        height: Of each in pixels.

    Returns:
        (H, W, 3) RGB.

    Raises:
        ValueError: If there are no samples, captions are not one a sample, ``columns`` is under
            1, or a sample's maps are not of its image's size.
    """
    tiles = [draw_sample(sample, height=height) for sample in samples]
    sheet = contact_sheet(tiles, captions, columns)
    legend = draw_legend([LEGEND], sheet.shape[1], LEGEND_HEIGHT)
    return np.concatenate([legend, sheet])


def draw_sample(sample: Mapping[str, Any], *, height: int = 640) -> Picture:
    """One sample: kernels blue, the threshold orange, striped what does not count in the loss.

    The image itself is not faded, so that its colours can be judged.

    Args:
        sample: ``image`` (3, H, W) uint8 RGB; ``shrink_map``, ``shrink_mask``, ``threshold_map``
            and ``threshold_mask`` (1, H, W) of any number type.
        height: Of the picture in pixels.

    Returns:
        (height, w, 3) RGB.

    Raises:
        ValueError: If a map is not of the image's size.
    """
    image = np.ascontiguousarray(np.asarray(sample["image"]).transpose(1, 2, 0))
    names = ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
    maps = [np.asarray(sample[name], dtype=np.float32)[0] for name in names]
    for name, values in zip(names, maps, strict=True):
        if values.shape != image.shape[:2]:
            size = image.shape[:2]
            raise ValueError(f"{name} must be of the image's size {size}, got {values.shape}")
    shrink_map, shrink_mask, threshold_map, threshold_mask = maps
    size = (max(1, round(image.shape[1] * height / image.shape[0])), height)
    canvas = _resize(image, size).astype(np.float32)
    lowest = float(threshold_map.min())
    border = (threshold_map - lowest) / max(float(threshold_map.max()) - lowest, 1e-6)
    uncounted = _resize(1.0 - shrink_mask, size)
    _blend(canvas, _resize(border * threshold_mask, size), BORDER)
    _blend(canvas, _resize(shrink_map, size), KERNEL)
    _blend(canvas, uncounted, UNCOUNTED)
    row, column = np.indices(uncounted.shape)
    _blend(canvas, uncounted * ((row + column) % STRIPES < STRIPES // 4), STRIPE)
    return np.round(canvas).astype(np.uint8)


def _resize(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    shrinks = size[1] < values.shape[0]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _blend(canvas: NDArray[np.float32], strength: NDArray[Any], colour: Colour) -> None:
    """Move the canvas towards a colour, in place; strength is 0 to 1 in every pixel."""
    canvas += OPACITY * strength[:, :, None] * (np.array(colour, dtype=np.float32) - canvas)
