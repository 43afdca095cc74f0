"""The mean of maps that come one at a time."""

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.settings import MeanKind

__all__ = ["MeanOfMaps"]

_CLOSEST = 1.0 / 510.0
"""How near a probability may come to 0 and 1 where its logit is taken: half a step of 8 bits, the
least that a stored map can tell apart. The most certain member has a logit of 6.2."""


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
        """Add one more map.

        Args:
            probability: (H, W) in [0, 1], of the shape of the first.
            weight: 0 or more.
        """
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
