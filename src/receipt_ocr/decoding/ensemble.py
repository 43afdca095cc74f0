"""Soft voting: several detectors' maps of one page become one."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.frames import align_map, fitting_frame, widest_frame
from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap, as_probability
from receipt_ocr.decoding.settings import MeanKind

_CLOSEST = 1.0 / 510.0
"""Probabilities are kept this far from 0 and 1 before their logit is taken: half a step of 8 bits,
the least that a stored map can tell apart. The most certain member has a logit of 6.2."""

Members = Mapping[str, Mapping[str, LoadMap]]
"""Name of a member -> page -> function that loads its map."""


class MeanOfMaps:
    """The weighted mean of maps of one shape; holds one map, however many are added.

    The mean of logits is the geometric mean of the odds (logarithmic opinion pool; Genest and
    Zidek, "Combining Probability Distributions", 1986): members that are certain count more than
    those that waver. The mean of probabilities is the linear pool.
    """

    def __init__(self, kind: MeanKind = "probability") -> None:
        """Start with no maps."""
        self._kind = kind
        self._total: NDArray[np.float64] | None = None
        self._weights = 0.0

    @property
    def shape(self) -> tuple[int, ...] | None:
        """(H, W) of the maps; None before the first."""
        return None if self._total is None else self._total.shape

    def add(self, probability: NDArray[np.float32], weight: float = 1.0) -> None:
        """Add one more (H, W) map in [0, 1], of the shape of the first; its weight is 0 or more."""
        values = probability.astype(np.float64)
        if self._kind == "logit":
            np.clip(values, _CLOSEST, 1.0 - _CLOSEST, out=values)
            values = np.log(values / (1.0 - values))
        if self._total is None:
            self._total = np.zeros(values.shape)
        self._total += values * weight
        self._weights += weight

    def conclude(self) -> NDArray[np.float32]:
        """The mean as probabilities, (H, W) in [0, 1].

        A mean of logits that is as close to 0 or 1 as it can be is stretched to 0 or 1.

        Raises:
            ValueError: If the weights of all maps do not sum to more than 0.
        """
        if self._total is None or not self._weights > 0.0:
            raise ValueError("a mean needs a map with a weight of more than 0")
        mean = self._total / self._weights
        if self._kind == "logit":
            mean = 1.0 / (1.0 + np.exp(-mean))
            mean = (mean - _CLOSEST) / (1.0 - 2.0 * _CLOSEST)
        return np.clip(mean, 0.0, 1.0).astype(np.float32)  # rounding may leave 1 by a trace


def average_maps(
    maps: Iterable[NDArray[np.floating[Any]] | NDArray[np.uint8]],
    weights: Sequence[float] | None = None,
    mean: MeanKind = "probability",
) -> NDArray[np.float32]:
    """Soft vote: the weighted mean of the members' text probabilities at each pixel.

    Args:
        maps: One map a member, each (H, W) in [0, 1] (or uint8, value / 255), all in one common
            frame. Taken one at a time, so a generator keeps the memory at one map.
        weights: One number a member, 0 or more; equal by default.
        mean: Of the probabilities or of their logits; see :class:`MeanOfMaps`.

    Returns:
        Mean probability map, (H, W), values in [0, 1].

    Raises:
        ValueError: If there are no maps, a map is malformed (NaN and values outside [0, 1]
            included) or of another shape than the first, or the weights do not fit.
    """
    if weights is not None:
        _check_weights(weights)
    total = MeanOfMaps(mean)
    count = 0
    for index, member in enumerate(maps):
        probability = as_probability(member, f"map {index}")
        if weights is not None and index >= len(weights):
            raise ValueError(f"weights must be one a map, got {len(weights)} for more maps")
        if total.shape not in {None, probability.shape}:
            raise ValueError(
                f"map {index} must have the shape of map 0, {total.shape}, got {probability.shape}"
            )
        total.add(probability, 1.0 if weights is None else float(weights[index]))
        count += 1
    if not count:
        raise ValueError("an average needs at least one map, got none")
    if weights is not None and len(weights) != count:
        raise ValueError(f"weights must be one a map, got {len(weights)} for {count} maps")
    return total.conclude()


def vote(
    members: Members, weights: Sequence[float] | None = None, mean: MeanKind = "probability"
) -> dict[str, LoadMap]:
    """Average the members' maps page by page, each when it is asked for.

    Members may have been trained for pages of different sizes: the mean is taken in the frame with
    the most pixels on the page, to which the other maps are brought by their exact matrices.

    Weights and mean are those of :func:`average_maps`. Computing a page holds the members' 8-bit
    maps of that page in memory.

    Raises:
        ValueError: If there are no members, they hold different pages or the weights do not fit;
            when a page is computed, if a member's map is of a page of another size (naming both).
    """
    if not members:
        raise ValueError("an ensemble needs at least one member, got none")
    if weights is not None:
        _check_weights(weights)
        if len(weights) != len(members):
            raise ValueError(f"got {len(weights)} weights for {len(members)} members")
    (first, pages), *others = members.items()
    for name, maps in others:
        if differing := sorted(set(pages) ^ set(maps)):
            raise ValueError(
                f"members must hold the same pages, but {differing[0]!r} is only in one of "
                f"{first} and {name} ({len(differing)} such pages); predict both anew"
            )
    return {page: partial(_vote_page, page, members, weights, mean) for page in pages}


def vote_where_known(
    members: Members,
    mean: MeanKind = "probability",
    weights: Mapping[str, float] | None = None,
) -> dict[str, LoadMap]:
    """Average the maps of whichever members have one of a page: out of fold, those it was new to.

    A member of weight 0 takes no part; where one member is left, its own map is handed on.
    """
    known: dict[str, dict[str, Mapping[str, LoadMap]]] = {}
    for name, maps in members.items():
        if weights is None or weights[name] > 0.0:
            for page in maps:
                known.setdefault(page, {})[name] = maps
    voted: dict[str, LoadMap] = {}
    for page, own in known.items():
        shares = None if weights is None else [weights[name] for name in own]
        only = next(iter(own.values())) if len(own) == 1 else None
        voted[page] = only[page] if only else partial(_vote_page, page, own, shares, mean)
    return voted


def _vote_page(
    page: str, members: Members, weights: Sequence[float] | None, mean: MeanKind
) -> ProbabilityMap:
    loaded = {name: maps[page]() for name, maps in members.items()}
    frames = {name: fitting_frame(page_map, name, page) for name, page_map in loaded.items()}
    target = widest_frame(list(frames.values()))
    for name, frame in frames.items():
        if (frame.width, frame.height) != (target.width, target.height):
            raise ValueError(
                f"page {page!r}: the map of {name} is {frame}, of another member {target}; "
                "predict both anew"
            )
    aligned = (align_map(loaded[name].probability, frames[name], target) for name in members)
    average = average_maps(aligned, weights, mean)
    return ProbabilityMap.from_probability(average, target.map_to_page, target.width, target.height)


def _check_weights(weights: Sequence[float]) -> None:
    values = np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0.0).all() and values.sum() > 0.0):
        raise ValueError(f"weights must be 0 or more and sum to more than 0, got {list(weights)}")
