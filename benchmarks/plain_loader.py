"""Training samples in the straightforward way: photo, albumentations, targets, anew every time.

A yardstick for the package's own loader, which it shares no code with.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network otherwise

import albumentations as alb
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.plain_targets import render_targets

Polygon = NDArray[np.float64]


def draw_sample(  # noqa: PLR0913  # what a recipe holds
    path: Path,
    polygons: Sequence[Polygon],
    size: int,
    *,
    rotation: float,
    brightness: float,
    contrast: float,
) -> dict[str, NDArray[Any]]:
    """One sample of a page: ``image`` (3, size, size) and four (1, size, size) maps.

    Polygons are the words, (P, 2) upright page pixels; the largest turn either way is in degrees,
    the other largest changes are shares.
    """
    image = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    transform = alb.Compose(
        [
            alb.LongestMaxSize(size, interpolation=cv2.INTER_AREA),
            alb.PadIfNeeded(size, size, border_mode=cv2.BORDER_CONSTANT, fill=0),
            alb.HorizontalFlip(p=0.5),
            alb.Rotate(limit=rotation, border_mode=cv2.BORDER_CONSTANT, p=1.0),
            alb.RandomBrightnessContrast(brightness, contrast, p=0.5),
        ],
        keypoint_params=alb.KeypointParams("xy", remove_invisible=False),
    )
    points = [tuple(point) for polygon in polygons for point in polygon.tolist()]
    changed = transform(image=image, keypoints=points)
    moved, start = [], 0
    for polygon in polygons:
        moved.append(np.array(changed["keypoints"][start : start + len(polygon)]))
        start += len(polygon)
    targets = render_targets(moved, size, size)
    maps = {name: value[None] for name, value in targets._asdict().items()}
    return {"image": changed["image"].transpose(2, 0, 1).copy(), **maps}
