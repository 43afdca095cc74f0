"""The polygons of a page in flat arrays, checked, rounded and with valid areas.

All coordinates are pixels of one common page frame, x then y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.geometry import Polygon

__all__ = ["Outlines", "collect_outlines"]


@dataclass(frozen=True)
class Outlines:
    """The polygons of one page that take part, one after the other in flat arrays."""

    indices: NDArray[np.intp]
    """(W,) position of each polygon in the caller's sequence."""
    points: Polygon
    """(N, 2) the points of all polygons, rounded if the settings say so."""
    starts: NDArray[np.intp]
    """(W + 1,) polygon w owns ``points[starts[w]:starts[w + 1]]``."""
    boxes: NDArray[np.float64]
    """(W, 4) left, top, right, bottom of the truncated points."""
    regions: NDArray[Any]
    """(W,) shapely geometries of the truncated points, always valid (even-odd)."""

    def __len__(self) -> int:
        return len(self.indices)

    def polygon(self, word: int) -> Polygon:
        """The points of one polygon, (P, 2)."""
        return self.points[self.starts[word] : self.starts[word + 1]]


def collect_outlines(
    polygons: Sequence[ArrayLike], name: str, settings: CLEvalSettings, limit: int | None = None
) -> Outlines:
    """Check, round and flatten the polygons of one page.

    Args:
        polygons: (P, 2) each; those of fewer than 4 points are skipped.
        name: What they are, for messages.
        settings: Word model and rounding.
        limit: Only this many are looked at.

    Raises:
        ValueError: If a polygon is not (P, 2), is not finite, or is no quad where the word
            model needs one.
    """
    arrays = [np.asarray(polygon, dtype=np.float64) for polygon in polygons[:limit]]
    for index, array in enumerate(arrays):
        if array.size and (array.ndim != 2 or array.shape[1] != 2):
            raise ValueError(f"{name} {index} must be a (P, 2) polygon, got shape {array.shape}")
        if settings.word_model == "quad" and len(array) > 4:
            raise ValueError(f"{name} {index} has {len(array)} points, word_model 'quad' needs 4")
    kept = [index for index, array in enumerate(arrays) if len(array) >= 4]
    points = np.concatenate([np.empty((0, 2)), *(arrays[index] for index in kept)])
    starts = np.cumsum([0] + [len(arrays[index]) for index in kept])
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        word = int(np.searchsorted(starts, int(finite.argmin()), side="right")) - 1
        raise ValueError(f"{name} {kept[word]} must have finite coordinates, got NaN or infinity")
    if settings.round_coordinates:
        points = np.round(points)
    truncated = np.trunc(points)
    return Outlines(
        indices=np.array(kept, dtype=np.intp),
        points=points,
        starts=starts,
        boxes=_bounding_boxes(truncated, starts),
        regions=_regions(truncated, starts),
    )


def _bounding_boxes(points: Polygon, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    if len(starts) == 1:
        return np.empty((0, 4))
    smallest = np.minimum.reduceat(points, starts[:-1])
    return np.concatenate([smallest, np.maximum.reduceat(points, starts[:-1])], axis=1)


def _regions(points: Polygon, starts: NDArray[np.intp]) -> NDArray[Any]:
    """Shapely polygons; self-crossing ones become the even-odd area they enclose."""
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    regions: NDArray[Any] = shapely.polygons(shapely.linearrings(points, indices=owners))
    invalid = ~shapely.is_valid(regions)
    # The buffer drops the lines that a collapsed part leaves behind.
    regions[invalid] = shapely.buffer(shapely.make_valid(regions[invalid]), 0)
    return regions
