"""The polygons of one page in flat arrays, ready for matching."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from receipt_ocr.evaluation.areas import FlatPolygons, are_simple
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.geometry.batch import PolygonBatch, check_batch, join_polygons


@dataclass(frozen=True)
class Outlines:
    """The W polygons of one page that take part: those of 4 points or more."""

    indices: NDArray[np.intp]
    """(W,) position of each polygon in the caller's sequence."""
    given: PolygonBatch
    """Rounded to whole pixels if the settings say so."""
    whole: PolygonBatch
    """Truncated to whole pixels: these bound the areas."""
    boxes: NDArray[np.float64]
    """(W, 4) left, top, right, bottom of the truncated ones."""
    areas: NDArray[np.float64]
    """(W,) of the truncated ones, by the shoelace formula."""
    is_simple: NDArray[np.bool_]
    """(W,) see `receipt_ocr.evaluation.areas.are_simple`."""

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def flat(self) -> FlatPolygons:
        """The truncated polygons, for `receipt_ocr.evaluation.areas.measure_shared_areas`."""
        return self.whole.points, self.whole.starts, self.is_simple

    def regions(self, words: NDArray[np.intp]) -> NDArray[Any]:
        """Shapely geometries of some polygons, always valid: the even-odd area they enclose."""
        chosen = self.whole.take(words)
        owners = np.repeat(np.arange(len(chosen)), chosen.sizes)
        rings = shapely.linearrings(chosen.points, indices=owners)
        regions: NDArray[Any] = shapely.polygons(rings)
        invalid = ~shapely.is_valid(regions)
        # The buffer drops the lines that a collapsed part leaves behind.
        regions[invalid] = shapely.buffer(shapely.make_valid(regions[invalid]), 0)
        return regions


def collect_outlines(
    polygons: Sequence[ArrayLike] | PolygonBatch, name: str, settings: CLEvalSettings
) -> Outlines:
    """Check, round and flatten the (P, 2) polygons of one page, called ``name`` in messages.

    Raises:
        ValueError: If a polygon is not (P, 2), is not finite, lies farther than a million pixels
            from the origin, or is no quad where the word model needs one.
    """
    if isinstance(polygons, PolygonBatch):
        batch = check_batch(polygons, name)
    else:
        batch = join_polygons(polygons, name)
    sizes = batch.sizes
    if settings.word_model == "quad" and sizes.max(initial=0) > 4:
        index = int(np.argmax(sizes > 4))
        raise ValueError(f"{name} {index} has {sizes[index]} points, word_model 'quad' needs 4")
    indices = np.flatnonzero(sizes >= 4)
    kept = batch if len(indices) == len(batch) else batch.take(indices)
    points = np.round(kept.points) if settings.round_coordinates else kept.points
    whole = PolygonBatch(np.trunc(points), kept.starts)
    measures = whole.measure()
    return Outlines(
        indices=indices,
        given=PolygonBatch(points, kept.starts),
        whole=whole,
        boxes=measures.boxes,
        areas=measures.areas,
        is_simple=are_simple(whole.points, whole.starts),
    )
