"""Maps of one page in different frames, brought to a common one.

Coordinates have their origin at the corner of the top-left pixel, on map and page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import MapValues, ProbabilityMap, as_probability
from receipt_ocr.geometry.polygons import Matrix
from receipt_ocr.receipts.settings import STRIDE


@dataclass(frozen=True, eq=False)
class MapFrame:
    """Where a map's pixels lie on the page.

    Raises:
        ValueError: If the matrix turns or skews.
    """

    shape: tuple[int, int]
    """(H, W) of the map."""
    map_to_page: Matrix
    """3x3 matrix from map pixels to upright page pixels, of scales and shifts."""
    width: int
    """Width of the upright page, pixels."""
    height: int
    """Height of the upright page, pixels."""

    def __post_init__(self) -> None:
        if self.map_to_page[0, 1] or self.map_to_page[1, 0]:
            raise ValueError(
                f"maps can be aligned where no frame is turned, got {self.map_to_page.tolist()}"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MapFrame) and (
            (self.shape, self.width, self.height) == (other.shape, other.width, other.height)
            and np.array_equal(self.map_to_page, other.map_to_page)
        )

    __hash__ = None  # type: ignore[assignment]  # matrices have none

    def __str__(self) -> str:
        rows, columns = self.shape
        return f"{columns}x{rows} of a page of {self.width}x{self.height}"

    @property
    def fineness(self) -> float:
        """Map pixels a page pixel, by area."""
        return float(1.0 / abs(np.linalg.det(self.map_to_page[:2, :2])))

    @property
    def holds_page(self) -> bool:
        """Whether the map reaches to all sides of the page, but for a map pixel."""
        return all(
            start <= scale and start + count * scale >= length - scale
            for scale, start, count, length in self._axes()
        )

    @property
    def is_filled(self) -> bool:
        """Whether the page fills the map in width or in height, as in every letterbox."""
        return any(
            start + (count - STRIDE) * scale <= length  # page-shaped frames are padded so far
            for scale, start, count, length in self._axes()
        )

    def axis(self, number: int) -> tuple[float, float]:
        """Page pixels a map pixel, and where on the page the map begins, in x (0) or y (1)."""
        return float(self.map_to_page[number, number]), float(self.map_to_page[number, 2])

    def blank_outside(self, probability: NDArray[np.float32]) -> None:
        """Set the pixels of an (H, W) map outside the page to 0, in place."""
        sides = (probability.T, probability)
        for values, (scale, start, count, length) in zip(sides, self._axes(), strict=True):
            centres = (np.arange(count) + 0.5) * scale + start
            values[(centres < 0.0) | (centres > length)] = 0.0

    def _axes(self) -> tuple[tuple[float, float, int, int], ...]:
        """Scale, start, map pixels and page pixels, in x and y."""
        rows, columns = self.shape
        return (*self.axis(0), columns, self.width), (*self.axis(1), rows, self.height)


def frame_of(page_map: ProbabilityMap) -> MapFrame:
    """The frame of a stored map."""
    rows, columns = page_map.probability.shape
    matrix = np.asarray(page_map.map_to_page, dtype=np.float64)
    return MapFrame((rows, columns), matrix, page_map.width, page_map.height)


def fitting_frame(page_map: ProbabilityMap, name: str, page: str) -> MapFrame:
    """The frame of a stored map, if it fits the map's page; member and page are named if not.

    Raises:
        ValueError: If the frame is turned, does not reach to all sides of the page, or is larger
            than the page both ways.
    """
    try:
        frame = frame_of(page_map)
    except ValueError as error:
        raise ValueError(f"page {page!r}: the map of {name}: {error}") from error
    if not (frame.holds_page and frame.is_filled):
        raise ValueError(
            f"page {page!r}: the map of {name} does not fit its page ({frame}); predict it anew"
        )
    return frame


def widest_frame(frames: Sequence[MapFrame]) -> MapFrame:
    """The frame with the most pixels on the page; among equals the first.

    In it no other map loses anything: each is enlarged, or stays as it is.
    """
    return max(frames, key=lambda frame: frame.fineness)


def align_map(values: MapValues, frame: MapFrame, target: MapFrame) -> NDArray[np.float32]:
    """Bring a map to another frame of the same page, bilinearly between pixel centres.

    Returns:
        (H, W) of the target, values in [0, 1], 0 outside the page; in the same frame the values
        as they are.

    Raises:
        ValueError: If the frames are of different pages, or the map is malformed.
    """
    probability = as_probability(values)
    if (frame.width, frame.height) != (target.width, target.height):
        raise ValueError(f"frames are of pages of different sizes: {frame}, {target}")
    if frame == target:
        return probability
    height, width = float(frame.height), float(frame.width)
    rows = _interpolate(probability, frame.axis(1), target.axis(1), target.shape[0], height)
    aligned = _interpolate(rows.T, frame.axis(0), target.axis(0), target.shape[1], width).T
    target.blank_outside(aligned)
    return np.ascontiguousarray(aligned)


def _interpolate(
    values: NDArray[np.float32],
    own: tuple[float, float],
    wanted: tuple[float, float],
    length: int,
    page: float,
) -> NDArray[np.float32]:
    """Rows of ``values`` at the places of another frame's rows.

    The outermost row on the page goes on outside: padding must not bleed into the page.
    """
    first = np.clip(np.ceil(-own[1] / own[0] - 0.5), 0.0, len(values) - 1.0)
    last = np.clip(np.floor((page - own[1]) / own[0] - 0.5), first, len(values) - 1.0)
    centres = (np.arange(length) + 0.5) * wanted[0] + wanted[1]  # on the page
    places = np.clip((centres - own[1]) / own[0] - 0.5, first, last)
    before = np.minimum(places.astype(np.intp), max(0, len(values) - 2))
    after = np.minimum(before + 1, len(values) - 1)
    share = (places - before).astype(np.float32)[:, None]
    blended: NDArray[np.float32] = values[before] * (1 - share) + values[after] * share
    return blended
