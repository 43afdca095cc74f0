"""How sure a mean over pages is: bootstrap intervals, and paired comparisons on the same pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "PairedComparison",
    "Verdict",
    "bootstrap_mean",
    "bootstrap_share",
    "compare_paired",
    "compare_unpaired",
    "leaderboard_interval",
]

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
        """What ``a`` is beside ``b``, in plain words: 0 inside the interval decides nothing."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "cannot be told apart"


def bootstrap_mean(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Percentile bootstrap of a mean (Efron, "Bootstrap Methods", 1979).

    Args:
        values: (N,) one number a page, two pages or more.
        level: Share of the resampled means inside the interval, between 0 and 1.
        resamples: How often N pages are drawn with replacement.
        seed: Of the draws; the same seed and number of pages give the same draws.

    Raises:
        ValueError: If there are fewer than two values, one is not finite, or ``level`` or
            ``resamples`` are out of range.
    """
    pages = _as_values(values, "values")
    _check_draws(level, resamples)
    return _bootstrap_mean(pages.tobytes(), level, resamples, seed)


def bootstrap_share(
    parts: ArrayLike,
    totals: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """A share whose parts and totals come page by page, such as that of missed words.

    Whole pages are drawn, because the words of a page are alike. With a single page the interval
    is that page's share.

    Args:
        parts: (N,) how many of a page.
        totals: (N,) of how many; their sum must be positive.
        level: See :func:`bootstrap_mean`.
        resamples: See :func:`bootstrap_mean`.
        seed: See :func:`bootstrap_mean`.

    Raises:
        ValueError: If the two are not as many finite numbers, the totals do not sum to more than
            0, or ``level`` or ``resamples`` are out of range.
    """
    _check_draws(level, resamples)
    some, whole = np.asarray(parts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if some.ndim != 1 or some.shape != whole.shape:
        raise ValueError(
            f"parts and totals must be one number a page each, got {some.shape}, {whole.shape}"
        )
    if not (np.isfinite(some).all() and np.isfinite(whole).all() and whole.sum() > 0):
        raise ValueError("parts and totals must be finite, and the totals sum to more than 0")
    return _bootstrap_share(some.tobytes(), whole.tobytes(), level, resamples, seed)


def compare_unpaired(
    a: ArrayLike,
    b: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Whether ``a`` scores higher than ``b`` where the two were judged on different pages.

    Each side is resampled for itself, so the interval is wider than that of
    :func:`compare_paired`: part of any difference is that the pages differ.

    Args:
        a: (N,) one score a page, two pages or more.
        b: (M,) scores of other pages, two or more.
        level: See :func:`bootstrap_mean`.
        resamples: See :func:`bootstrap_mean`.
        seed: See :func:`bootstrap_mean`.

    Returns:
        The difference of the means; ``pages`` is the smaller number of the two.

    Raises:
        ValueError: As :func:`bootstrap_mean`.
    """
    _check_draws(level, resamples)
    sides = [_as_values(a, "a"), _as_values(b, "b")]
    rngs = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]
    means = []
    for values, rng in zip(sides, rngs, strict=True):
        count = len(values)
        draws = _draw(count, count, _split(resamples, count), rng)
        means.append(np.concatenate([values[chosen].mean(axis=1) for chosen in draws]))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means[0] - means[1], [tail, 1.0 - tail])
    difference = float(sides[0].mean() - sides[1].mean())
    return PairedComparison(difference, float(low), float(high), min(map(len, sides)))


def leaderboard_interval(
    values: ArrayLike,
    test_pages: int,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Where the page mean of another set of pages would lie, such as that of a leaderboard.

    A bootstrap in two stages: N pages are drawn with replacement from the N judged ones, because
    the judged pages are a sample themselves, and then ``test_pages`` pages from that draw. With M
    test pages and the variance s^2 of the scores (of N, not N - 1), the resampled means have the
    variance s^2 (1/N + (1 - 1/N) / M), about s^2 (1/N + 1/M): with many test pages the interval
    becomes that of :func:`bootstrap_mean`, with one it is as wide as single pages differ.

    It holds for pages of the same kind only, and for the very detector or detectors that were
    judged: what the interval of out-of-fold scores foretells is a single fold's score.

    Args:
        values: (N,) one number a judged page, two pages or more.
        test_pages: M, how many pages the other set has, 1 or more.
        level: Share of the resampled means inside the interval, between 0 and 1.
        resamples: How often both stages are drawn.
        seed: Of the draws.

    Returns:
        The interval around the mean of ``values``.

    Raises:
        ValueError: If ``test_pages`` is below 1, or as :func:`bootstrap_mean`.
    """
    pages = _as_values(values, "values")
    _check_draws(level, resamples)
    if test_pages < 1:
        raise ValueError(f"test_pages must be 1 or more, got {test_pages}")
    return _foretell(pages.tobytes(), test_pages, level, resamples, seed)


# A report asks for the same intervals in several of its parts.
@lru_cache(maxsize=_REMEMBERED)
def _bootstrap_mean(values: bytes, level: float, resamples: int, seed: int) -> Interval:
    pages = np.frombuffer(values)
    count = len(pages)
    blocks = _split(resamples, per_resample=count)
    draws = _draw(count, count, blocks, np.random.default_rng(seed))
    means = np.concatenate([pages[chosen].mean(axis=1) for chosen in draws])
    return _as_interval(pages, means, level)


@lru_cache(maxsize=_REMEMBERED)
def _bootstrap_share(
    parts: bytes, totals: bytes, level: float, resamples: int, seed: int
) -> Interval:
    some, whole = np.frombuffer(parts), np.frombuffer(totals)
    count = len(whole)
    draws = _draw(count, count, _split(resamples, count), np.random.default_rng(seed))
    shares = np.concatenate(
        [some[chosen].sum(axis=1) / np.maximum(whole[chosen].sum(axis=1), 1.0) for chosen in draws]
    )
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(shares, [tail, 1.0 - tail])
    return Interval(mean=float(some.sum() / whole.sum()), low=float(low), high=float(high))


@lru_cache(maxsize=_REMEMBERED)
def _foretell(values: bytes, test_pages: int, level: float, resamples: int, seed: int) -> Interval:
    pages = np.frombuffer(values)
    count = len(pages)
    of_judged, of_test = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    blocks = _split(resamples, per_resample=max(count, test_pages))
    drawn = zip(
        _draw(count, count, blocks, of_judged),
        _draw(count, test_pages, blocks, of_test),
        strict=True,
    )
    means = [np.take_along_axis(pages[judged], test, axis=1).mean(axis=1) for judged, test in drawn]
    return _as_interval(pages, np.concatenate(means), level)


def compare_paired(
    a: Sequence[float] | NDArray[np.float64],
    b: Sequence[float] | NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Whether ``a`` scores higher than ``b``, both judged on the same pages in the same order.

    Pages are resampled as pairs, so that what makes a page hard for both cancels out. Where both
    have the same score on every page, they cannot be told apart.

    Args:
        a: (N,) one score a page.
        b: (N,) the other's score of the same pages.
        level: See :func:`bootstrap_mean`.
        resamples: See :func:`bootstrap_mean`.
        seed: See :func:`bootstrap_mean`.

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
    found = bootstrap_mean(differences, level=level, resamples=resamples, seed=seed)
    return PairedComparison(found.mean, found.low, found.high, len(first))


def _as_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be one number a page, 2 or more, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _check_draws(level: float, resamples: int) -> None:
    if not 0.0 < level < 1.0 or resamples < 1:
        raise ValueError(
            f"level must lie between 0 and 1 and resamples be 1 or more, got {level}, {resamples}"
        )


def _as_interval(pages: NDArray[np.float64], means: NDArray[np.float64], level: float) -> Interval:
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(mean=float(pages.mean()), low=float(low), high=float(high))


def _split(resamples: int, per_resample: int) -> list[int]:
    """Resamples a block, so that no block has more draws than fit into memory."""
    block = max(1, _DRAWS_AT_ONCE // per_resample)
    return [min(block, resamples - start) for start in range(0, resamples, block)]


def _draw(
    pages: int, count: int, blocks: Sequence[int], rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """For each block of n resamples the indices of pages, (n, count) of them."""
    for resamples in blocks:
        yield rng.integers(0, pages, size=(resamples, count))
