"""The polygons of a page in flat arrays, so that one call serves all of them.

A call of NumPy or of compiled code costs more than the arithmetic on a single word, so code that
must be fast on pages with hundreds of words works on a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.geometry.polygons import MAX_COORDINATE, Path, Polygon, measure_polygons


@dataclass(frozen=True)
class PolygonBatch:
    """Polygons of one frame in flat arrays, one after the other."""

    points: Polygon
    """The points of all polygons, (N, 2)."""
    starts: NDArray[np.intp]
    """(W + 1,); polygon w owns ``points[starts[w]:starts[w + 1]]``."""

    @classmethod
    def join(cls, polygons: Sequence[NDArray[Any]]) -> Self:
        """Batch (P, 2) arrays without checking them; `join_polygons` checks."""
        starts = np.cumsum([0, *map(len, polygons)])
        return cls(np.concatenate([np.empty((0, 2)), *polygons]), starts)

    @classmethod
    def join_paths(cls, paths: Sequence[Path]) -> Self:
        """Batch what `offset_path` returns."""
        starts = np.cumsum([0, *map(len, paths)])
        flat = chain.from_iterable(chain.from_iterable(paths))
        # Many times faster than np.array on nested lists.
        return cls(np.fromiter(flat, dtype=np.float64).reshape(-1, 2), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Polygon:
        return self.points[self.starts[index] : self.starts[index + 1]]

    def __iter__(self) -> Iterator[Polygon]:
        ends = self.starts.tolist()
        return (self.points[start:end] for start, end in pairwise(ends))

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of points of each polygon, (W,)."""
        return np.diff(self.starts)

    def take(self, indices: NDArray[np.intp]) -> "PolygonBatch":
        """The polygons at ``indices``, in that order."""
        sizes = self.sizes[indices]
        ends = np.cumsum(sizes)
        shift = np.repeat(self.starts[indices] - (ends - sizes), sizes)
        return PolygonBatch(self.points[np.arange(len(shift)) + shift], np.append(0, ends))

    def paths(self) -> list[Path]:
        """The polygons as `offset_path` takes them: coordinates truncated to integers."""
        flat: Path = self.points.astype(np.int64).tolist()
        return [flat[start:end] for start, end in pairwise(self.starts.tolist())]

    def measure(self) -> "Measures":
        """Areas, perimeters and bounding boxes."""
        return Measures(*measure_polygons(self.points, self.starts))


class Measures(NamedTuple):
    """`polygon_area`, `perimeter` and `bounding_box` of W polygons, in pixels."""

    areas: NDArray[np.float64]
    """(W,)."""
    perimeters: NDArray[np.float64]
    """(W,)."""
    boxes: NDArray[np.float64]
    """(W, 4): left, top, right, bottom."""


def join_polygons(polygons: Sequence[ArrayLike], name: str) -> PolygonBatch:
    """Check polygons from outside and batch them.

    Args:
        polygons: (P, 2) each, of any number of points.
        name: What to call one in a message, such as "word".

    Raises:
        ValueError: If a polygon is not (P, 2), is not finite, or lies farther than a million
            pixels from the origin; the message names it by its position.
    """
    given = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
    for index, points in enumerate(given):
        if points.size and (points.ndim != 2 or points.shape[1] != 2):
            raise ValueError(f"{name} {index} must be a (P, 2) polygon, got shape {points.shape}")
    return check_batch(PolygonBatch.join([points.reshape(-1, 2) for points in given]), name)


def check_batch(batch: PolygonBatch, name: str) -> PolygonBatch:
    """Return the batch if its coordinates are finite and within a million pixels.

    Raises:
        ValueError: As `join_polygons`.
    """
    is_wrong = ~(np.abs(batch.points) <= MAX_COORDINATE).all(axis=1)  # NaN <= x is False
    if is_wrong.any():
        point = int(is_wrong.argmax())
        index = int(np.searchsorted(batch.starts, point, side="right")) - 1
        raise ValueError(
            f"{name} {index} must have finite coordinates within {MAX_COORDINATE:,} pixels, "
            f"got {batch.points[point].tolist()}"
        )
    return batch


def paint_polygons(
    canvas: NDArray[np.uint8] | NDArray[np.float32], polygons: PolygonBatch, value: float
) -> None:
    """Set the pixels of a (H, W) canvas inside each polygon (coordinates truncated), in place."""
    whole = PolygonBatch(polygons.points.astype(np.int32), polygons.starts)
    for polygon in whole:  # one by one, because fillPoly of several leaves their overlap out
        cv2.fillPoly(canvas, [polygon], [value])
