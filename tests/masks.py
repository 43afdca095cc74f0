"""Filled polygons to hold results against."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.batch import PolygonBatch, paint_polygons
from receipt_ocr.geometry.polygons import Polygon


def fill_polygons(
    polygons: Sequence[Polygon], height: int, width: int, value: int = 1
) -> NDArray[np.uint8]:
    """A (height, width) mask, ``value`` inside the polygons, else 0."""
    mask = np.zeros((height, width), dtype=np.uint8)
    paint_polygons(mask, PolygonBatch.join(polygons), value)
    return mask
