"""Pictures of what a network has to learn from a page or from a training sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.pictures.gallery import FALSE, FOUND, contact_sheet, fade_page, resize
from receipt_ocr.pictures.legend import Colour, LegendEntry, Picture, draw_legend, fit_legend

KERNEL, BORDER = FOUND, FALSE  # blue and orange
UNCOUNTED: Colour = (150, 150, 150)
STRIPE: Colour = (90, 90, 90)
OPACITY = 0.55
OPACITY_ON_FADED = 0.8
STRIPES = 8  # pixels from one to the next
LEGEND_HEIGHT = 26
LEGEND = (LegendEntry("text kernels", KERNEL, "fill"), LegendEntry("threshold", BORDER, "fill"))
LEGEND_UNCOUNTED = LegendEntry("does not count: padding, ignored words", UNCOUNTED, "cross")


def draw_targets(
    image: Picture,
    shrink_map: NDArray[np.float32] | NDArray[np.uint8],
    threshold_map: NDArray[np.float32],
    *,
    height: int = 900,
) -> Picture:
    """A faded page with its targets.

    Args:
        image: (H, W, 3) RGB.
        shrink_map: (H, W), 1 in the text kernels: drawn blue.
        threshold_map: (H, W), raised around the words' outlines: drawn orange, stronger where
            it is higher.
        height: Of the picture in pixels, legend included.

    Returns:
        (height, w, 3) RGB.

    Raises:
        ValueError: If the maps are not of the image's size.
    """
    if not image.shape[:2] == shrink_map.shape == threshold_map.shape:
        raise ValueError(
            f"maps must be of the image's size {image.shape[:2]}, got {shrink_map.shape} and "
            f"{threshold_map.shape}"
        )
    width, page_height, rows = fit_legend(image, LEGEND, height)
    canvas = fade_page(image, width, page_height).astype(np.float32)
    for strength, colour in ((_border(threshold_map), BORDER), (shrink_map, KERNEL)):
        alpha = cv2.resize(
            np.asarray(strength, np.float32), (width, page_height), interpolation=cv2.INTER_AREA
        )
        _blend(canvas, alpha, colour, OPACITY_ON_FADED)
    page = np.round(canvas).astype(np.uint8)
    return np.concatenate([page, draw_legend(rows, width, height - page_height)])


def draw_samples(
    samples: Sequence[Mapping[str, Any]],
    captions: Sequence[str],
    *,
    columns: int = 3,
    height: int = 640,
) -> Picture:
    """A sheet of samples, (H, W, 3) RGB, with one legend above them; see `draw_sample`.

    Their sizes may differ; each is drawn ``height`` pixels high.

    Raises:
        ValueError: If there are no samples, captions are not one a sample, ``columns`` is under 1,
            or a sample's maps are not of its image's size.
    """
    tiles = [draw_sample(sample, height=height) for sample in samples]
    sheet = contact_sheet(tiles, captions, columns)
    legend = draw_legend([(*LEGEND, LEGEND_UNCOUNTED)], sheet.shape[1], LEGEND_HEIGHT)
    return np.concatenate([legend, sheet])


def draw_sample(sample: Mapping[str, Any], *, height: int = 640) -> Picture:
    """One sample as the network sees it, with its targets; pixels outside the loss are striped.

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
    canvas = resize(image, size).astype(np.float32)
    uncounted = resize(1.0 - shrink_mask, size)
    row, column = np.indices(uncounted.shape)
    _blend(canvas, resize(_border(threshold_map) * threshold_mask, size), BORDER)
    _blend(canvas, resize(shrink_map, size), KERNEL)
    _blend(canvas, uncounted, UNCOUNTED)
    _blend(canvas, uncounted * ((row + column) % STRIPES < STRIPES // 4), STRIPE)
    return np.round(canvas).astype(np.uint8)


def _border(threshold_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """A threshold map stretched to 0..1; 0 everywhere if it is flat."""
    lowest = float(threshold_map.min())
    return (threshold_map - lowest) / max(float(threshold_map.max()) - lowest, 1e-6)


def _blend(
    canvas: NDArray[np.float32], strength: NDArray[Any], colour: Colour, opacity: float = OPACITY
) -> None:
    """Move the canvas towards a colour, in place; strength is 0 to 1 in every pixel."""
    canvas += opacity * strength[:, :, None] * (np.array(colour, dtype=np.float32) - canvas)
