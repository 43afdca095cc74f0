"""Bootstrap intervals of means over pages, and comparisons of two detectors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
SEED = 0
"""Seed of all draws: equal numbers of pages give equal draws."""
LEVEL = 0.95
"""Share of the resampled means inside an interval."""

_DRAWS_AT_ONCE = 1_000_000  # page indices in memory: 8 MB
_REMEMBERED = 1024  # intervals, of which a report has some hundreds
_ROUNDING = 1e-12  # equal scores that were summed in another order differ by less

Verdict = Literal["better", "worse", "cannot be told apart"]


@dataclass(frozen=True)
class Interval:
    """A mean and where it would lie had other pages of the same kind been judged."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedComparison:
    """The mean difference ``a - b`` over pages that both were judged on."""

    difference: float
    low: float
    high: float
    pages: int

    @property
    def verdict(self) -> Verdict:
        """Judge ``a`` against ``b``: 0 inside the interval decides nothing."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "cannot be told apart"


def bootstrap_mean(values: ArrayLike) -> Interval:
    """95 % percentile bootstrap of the mean of (N,) pages (Efron, "Bootstrap Methods", 1979).

    Raises:
        ValueError: If there are fewer than two values, or one is not finite.
    """
    return _bootstrap_mean(_as_values(values, "values").tobytes())


def bootstrap_share(parts: ArrayLike, totals: ArrayLike) -> Interval:
    """A share whose parts and totals come page by page, such as that of missed words.

    Whole pages are drawn, because the words of a page are alike. With a single page the interval
    is that page's share. Parts and totals are (N,), a number a page.

    Raises:
        ValueError: If the two are not as many finite numbers, or the totals do not sum to more
            than 0.
    """
    some, whole = np.asarray(parts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if some.ndim != 1 or some.shape != whole.shape:
        raise ValueError(
            f"parts and totals must be one number a page each, got {some.shape}, {whole.shape}"
        )
    if not (np.isfinite(some).all() and np.isfinite(whole).all() and whole.sum() > 0):
        raise ValueError("parts and totals must be finite, and the totals sum to more than 0")
    draws = _draw(len(whole), len(whole), np.random.default_rng(SEED))
    shares = [
        some[chosen].sum(axis=1) / np.maximum(whole[chosen].sum(axis=1), 1.0) for chosen in draws
    ]
    return _as_interval(float(some.sum() / whole.sum()), shares)


def leaderboard_interval(values: ArrayLike, test_pages: int) -> Interval:
    """Foretell the page mean of other pages, such as those of a leaderboard.

    A bootstrap in two stages: N pages are drawn with replacement from the N judged ones, because
    the judged pages are a sample themselves, and then ``test_pages`` pages from that draw. With M
    test pages and the variance s^2 of the scores (of N, not N - 1), the resampled means have the
    variance s^2 (1/N + (1 - 1/N) / M), about s^2 (1/N + 1/M): with many test pages the interval
    becomes that of :func:`bootstrap_mean`, with one it is as wide as single pages differ.

    It holds for pages of the same kind only, and for the very detector or detectors that were
    judged: what the interval of out-of-fold scores foretells is a single fold's score.

    Raises:
        ValueError: If ``test_pages`` is below 1, or as :func:`bootstrap_mean`.
    """
    pages = _as_values(values, "values")
    if test_pages < 1:
        raise ValueError(f"test_pages must be 1 or more, got {test_pages}")
    return _foretell(pages.tobytes(), test_pages)


def compare_paired(a: ArrayLike, b: ArrayLike) -> PairedComparison:
    """Compare two detectors judged on the same pages in the same order.

    Pages are resampled as pairs, so that what makes a page hard for both cancels out. Where both
    have the same score on every page, they cannot be told apart.

    Raises:
        ValueError: If the two differ in length, or as :func:`bootstrap_mean`.
    """
    first, second = _as_values(a, "a"), _as_values(b, "b")
    if len(first) != len(second):
        raise ValueError(
            f"paired scores must be of the same pages, got {len(first)}, {len(second)}"
        )
    differences = first - second
    differences[np.abs(differences) < _ROUNDING] = 0.0
    found = bootstrap_mean(differences)
    return PairedComparison(found.mean, found.low, found.high, len(first))


def compare_unpaired(a: ArrayLike, b: ArrayLike) -> PairedComparison:
    """Compare two detectors judged on different pages.

    Each side, (N,) and (M,), is resampled for itself, so the interval is wider than that of
    :func:`compare_paired`: part of any difference is that the pages differ. ``pages`` of the
    result is the smaller number of the two.

    Raises:
        ValueError: As :func:`bootstrap_mean`.
    """
    sides = [_as_values(a, "a"), _as_values(b, "b")]
    means = []
    for values, rng in zip(sides, _spawn(), strict=True):
        draws = _draw(len(values), len(values), rng)
        means.append(np.concatenate([values[chosen].mean(axis=1) for chosen in draws]))
    found = _as_interval(float(sides[0].mean() - sides[1].mean()), [means[0] - means[1]])
    return PairedComparison(found.mean, found.low, found.high, min(map(len, sides)))


# A report asks for the same intervals in several of its parts.
@lru_cache(maxsize=_REMEMBERED)
def _bootstrap_mean(values: bytes) -> Interval:
    pages = np.frombuffer(values)
    draws = _draw(len(pages), len(pages), np.random.default_rng(SEED))
    return _as_interval(float(pages.mean()), [pages[chosen].mean(axis=1) for chosen in draws])


@lru_cache(maxsize=_REMEMBERED)
def _foretell(values: bytes, test_pages: int) -> Interval:
    pages = np.frombuffer(values)
    of_judged, of_test = _spawn()
    block = max(len(pages), test_pages)
    drawn = zip(
        _draw(len(pages), len(pages), of_judged, block),
        _draw(len(pages), test_pages, of_test, block),
        strict=True,
    )
    means = [np.take_along_axis(pages[judged], test, axis=1).mean(axis=1) for judged, test in drawn]
    return _as_interval(float(pages.mean()), means)


def _as_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be one number a page, 2 or more, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _as_interval(mean: float, resampled: Sequence[NDArray[np.float64]]) -> Interval:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(np.concatenate(resampled), [tail, 1.0 - tail])
    return Interval(mean, float(low), float(high))


def _spawn() -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent sources of draws."""
    first, second = np.random.SeedSequence(SEED).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def _draw(
    pages: int, count: int, rng: np.random.Generator, widest: int = 0
) -> Iterator[NDArray[np.int64]]:
    """Draw indices below ``pages``, (n, count) in each block of n resamples.

    Generators that are read side by side share the block size of their ``widest`` count.
    """
    block = max(1, _DRAWS_AT_ONCE // max(count, widest))
    for start in range(0, RESAMPLES, block):
        yield rng.integers(0, pages, size=(min(block, RESAMPLES - start), count))
