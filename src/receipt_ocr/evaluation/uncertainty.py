"""How sure a mean over pages is: bootstrap intervals, and paired comparisons on the same pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "PairedComparison", "bootstrap_mean", "compare_paired"]

_DRAWS_AT_ONCE = 1_000_000  # page indices in memory: 8 MB

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
    if not 0.0 < level < 1.0 or resamples < 1:
        raise ValueError(
            f"level must lie between 0 and 1 and resamples be 1 or more, got {level}, {resamples}"
        )
    draws = _draw(len(pages), resamples, np.random.default_rng(seed))
    means = np.concatenate([pages[chosen].mean(axis=1) for chosen in draws])
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(mean=float(pages.mean()), low=float(low), high=float(high))


def compare_paired(
    a: Sequence[float] | NDArray[np.float64],
    b: Sequence[float] | NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Whether ``a`` scores higher than ``b``, both judged on the same pages in the same order.

    Pages are resampled as pairs, so that what makes a page hard for both cancels out.

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
    found = bootstrap_mean(first - second, level=level, resamples=resamples, seed=seed)
    return PairedComparison(found.mean, found.low, found.high, len(first))


def _as_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{name} must be one number a page, 2 or more, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _draw(pages: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Blocks of resamples, (n, pages) page indices each."""
    block = max(1, _DRAWS_AT_ONCE // pages)
    for start in range(0, resamples, block):
        yield rng.integers(0, pages, size=(min(block, resamples - start), pages))
