"""The probability map of a page: what passes between the network and everything after it.

Light to import: the nodes' signatures name these types.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

MapValues = NDArray[np.floating[Any]] | NDArray[np.uint8]
"""(H, W) text probability: float in [0, 1] or uint8 (value / 255)."""


@dataclass(frozen=True)
class ProbabilityMap:
    """A page's text probability in 8 bits, and the way back to the page.

    Raises:
        ValueError: If the map is not (H, W) uint8, the matrix not 3x3, finite and invertible, or
            the page has no size.
    """

    probability: NDArray[np.uint8]
    """(H, W) in the network's frame; the probability is the value / 255."""
    map_to_page: Matrix
    """3x3 matrix from map pixels to page pixels."""
    width: int
    """Width of the upright page in pixels."""
    height: int
    """Height of the upright page in pixels."""

    def __post_init__(self) -> None:
        values, matrix = self.probability, np.asarray(self.map_to_page)
        if values.dtype != np.uint8 or values.ndim != 2 or not values.size:
            raise ValueError(
                f"probability must be (H, W) uint8, got {values.dtype} of shape {values.shape}"
            )
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not np.linalg.det(matrix):
            raise ValueError(f"map_to_page must be 3x3 and invertible, got {matrix.tolist()}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a page has a size in pixels, got {self.width} x {self.height}")

    @classmethod
    def from_probability(
        cls, probability: NDArray[np.floating[Any]], map_to_page: Matrix, width: int, height: int
    ) -> Self:
        """Round an (H, W) map of values in [0, 1] to 8 bits.

        Raises:
            ValueError: If the map is not (H, W) with values in [0, 1], or as the constructor.
        """
        eight_bit = np.round(as_probability(probability) * np.float32(255.0)).astype(np.uint8)
        return cls(eight_bit, np.asarray(map_to_page, dtype=np.float64), width, height)

    @property
    def values(self) -> NDArray[np.float32]:
        """The probabilities in [0, 1], (H, W)."""
        return as_probability(self.probability)


LoadMap = Callable[[], ProbabilityMap]
"""Reads or computes one page's map."""


class LazyMaps(Mapping[str, LoadMap]):
    """Page -> function that reads or computes its map; all of them come from one detector."""

    made_by = ""
    """Command that makes the maps; empty where it is not known."""

    def __init__(self, loaders: Mapping[str, LoadMap], source: str = "") -> None:
        """Wrap maps that need not exist yet; ``source`` is empty where it is not known."""
        self._loaders = loaders
        self._source = source

    @property
    def source(self) -> str:
        """Detector and TTA view that the maps come from, as `MapSource` writes them."""
        return self._source

    def __getitem__(self, page: str) -> LoadMap:
        return self._loaders[page]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


class MapSource(NamedTuple):
    """A detector, and the TTA view under which it predicted a set of maps."""

    detector: str
    """Fingerprint of its weights."""
    tta_view: str = ""
    """Label of the view; empty for the plain one."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<fingerprint>`` or ``<fingerprint>+<label>``."""
        detector, _, tta_view = text.partition("+")
        return cls(detector, tta_view)

    def __str__(self) -> str:
        return "+".join(filter(None, self))

    @property
    def view_name(self) -> str:
        """The view, for messages."""
        return self.tta_view or "plain"


@dataclass(frozen=True)
class MemberMaps:
    """The voters of an ensemble and their maps."""

    maps: Mapping[str, Mapping[str, LazyMaps]]
    """Kind -> name of a member -> its maps, in the order of the settings."""
    sources: Mapping[str, str]
    """Name of a member -> detector and TTA view, as `MapSource` writes them."""
    folds: Mapping[str, int]
    """Name of a member -> number of its fold."""

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return list(self.sources)


def as_probability(values: MapValues, name: str = "a probability map") -> NDArray[np.float32]:
    """Check a probability map, called ``name`` in messages, and convert it to float32.

    Returns:
        (H, W), values in [0, 1]; the given array itself where nothing needs changing.

    Raises:
        ValueError: If the map is not (H, W), of another type, or not within [0, 1].
    """
    checked, scale = check_map(values, name)
    if checked.dtype == np.float32:
        return cast(NDArray[np.float32], checked)
    return checked.astype(np.float32) / scale


def check_map(
    values: MapValues, name: str = "a probability map"
) -> tuple[NDArray[np.uint8] | NDArray[np.float32], np.float32]:
    """Check a probability map, and tell what its values are to be divided by.

    Returns:
        (H, W) uint8 and 255, or float32 and 1; in memory row by row.

    Raises:
        ValueError: If the map is not (H, W), of another type, or not within [0, 1].
    """
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name} must be (H, W), got shape {values.shape}")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values, dtype=np.uint8), np.float32(255.0)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{name} must be float or uint8, got {values.dtype}")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):  # so put that NaN fails too
        raise ValueError(f"{name} must lie in [0, 1], got values from {low} to {high}")
    return np.ascontiguousarray(values, dtype=np.float32), np.float32(1.0)
