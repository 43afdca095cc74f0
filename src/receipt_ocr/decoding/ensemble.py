"""Soft voting: several detectors' maps of one page become one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap, as_probability

__all__ = ["average_maps", "check_member", "vote"]


def average_maps(
    maps: Iterable[NDArray[np.floating[Any]] | NDArray[np.uint8]],
    weights: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Soft vote: the weighted mean of the members' text probabilities at each pixel.

    Args:
        maps: One map a member, each (H, W) in [0, 1] (or uint8, value / 255), all in one common
            frame. Taken one at a time, so a generator keeps the memory at one map.
        weights: One number a member, 0 or more; equal by default.

    Returns:
        Mean probability map, (H, W), values in [0, 1].

    Raises:
        ValueError: If there are no maps, a map is malformed (NaN and values outside [0, 1]
            included) or of another shape than the first, or the weights do not fit.
    """
    if weights is not None:
        _check_weights(weights)
    total: NDArray[np.float64] | None = None
    weight_sum, count = 0.0, 0
    for index, member in enumerate(maps):
        probability = as_probability(member, f"map {index}")
        if weights is not None and index >= len(weights):
            raise ValueError(f"weights must be one a map, got {len(weights)} for more maps")
        if total is None:
            total = np.zeros(probability.shape)
        if probability.shape != total.shape:
            raise ValueError(
                f"map {index} must have the shape of map 0, {total.shape}, got {probability.shape}"
            )
        weight = 1.0 if weights is None else float(weights[index])
        total += probability * np.float64(weight)
        weight_sum += weight
        count += 1
    if total is None:
        raise ValueError("an average needs at least one map, got none")
    if weights is not None and len(weights) != count:
        raise ValueError(f"weights must be one a map, got {len(weights)} for {count} maps")
    total /= weight_sum
    return np.clip(total, 0.0, 1.0).astype(np.float32)  # rounding may leave 1 by a trace


def check_member(
    name: str, maps: Mapping[str, LazyMaps], pages: Mapping[str, Collection[str]]
) -> str:
    """Check that a member's maps are of today's pages, and all of one detector.

    Args:
        name: Of the member, for the messages.
        maps: Subset -> the member's maps.
        pages: Subset -> the pages that the maps must be of, no more and no fewer.

    Returns:
        Fingerprint of the member's detector.

    Raises:
        ValueError: If pages differ, as after new data or folds, or the subsets' maps are of
            different detectors, as after an interrupted training; member, subset and page are
            named.
        FileNotFoundError: If maps were never written.
    """
    again = f"train and predict {name} again (--pipeline=train_fold)"
    for subset, known in pages.items():
        if differing := sorted(set(known) ^ set(maps[subset])):
            has = "has a" if differing[0] in maps[subset] else "has no"
            raise ValueError(
                f"{name} {has} map of page {differing[0]!r} among its {subset} pages "
                f"({len(differing)} such pages): the data or the folds have changed; {again}"
            )
    sources = {subset: maps[subset].source for subset in pages}
    if len(set(sources.values())) > 1:
        raise ValueError(f"the maps of {name} are of different detectors, {sources}; {again}")
    return next(iter(sources.values()))


def vote(
    members: Mapping[str, Mapping[str, LoadMap]], weights: Sequence[float] | None = None
) -> dict[str, LoadMap]:
    """Average the members' maps page by page, each when it is asked for.

    Args:
        members: Name of a member -> page -> what loads its map.
        weights: One number a member, 0 or more; equal by default.

    Returns:
        Page -> what computes its mean map; one mean in memory at a time.

    Raises:
        ValueError: If there are no members or they hold different pages; when a page is
            computed, if its maps are of different frames (naming member and page).
    """
    if not members:
        raise ValueError("an ensemble needs at least one member, got none")
    (first, pages), *others = members.items()
    for name, maps in others:
        if differing := sorted(set(pages) ^ set(maps)):
            raise ValueError(
                f"members must hold the same pages, but {differing[0]!r} is only in one of "
                f"{first} and {name} ({len(differing)} such pages); predict both anew"
            )
    return {page: partial(_vote_page, page, members, weights) for page in pages}


def _vote_page(
    page: str, members: Mapping[str, Mapping[str, LoadMap]], weights: Sequence[float] | None
) -> ProbabilityMap:
    (first, maps), *others = members.items()
    reference = maps[page]()
    probabilities = [reference.probability]
    for name, other_maps in others:
        other = other_maps[page]()
        if not _share_frame(reference, other):
            raise ValueError(
                f"page {page!r}: the maps of {first} and {name} are of different frames, "
                f"{_describe_frame(reference)} and {_describe_frame(other)}; predict both anew"
            )
        probabilities.append(other.probability)
    return ProbabilityMap.from_probability(
        average_maps(probabilities, weights),
        reference.map_to_page,
        reference.width,
        reference.height,
    )


def _share_frame(one: ProbabilityMap, other: ProbabilityMap) -> bool:
    return (
        one.probability.shape == other.probability.shape
        and (one.width, one.height) == (other.width, other.height)
        and np.array_equal(one.map_to_page, other.map_to_page)
    )


def _describe_frame(page_map: ProbabilityMap) -> str:
    height, width = page_map.probability.shape
    return f"{width}x{height} of a page of {page_map.width}x{page_map.height}"


def _check_weights(weights: Sequence[float]) -> None:
    values = np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0.0).all() and values.sum() > 0.0):
        raise ValueError(f"weights must be 0 or more and sum to more than 0, got {list(weights)}")
