"""How long two ways of doing the same take, side by side on the same machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Comparison", "best_time", "compare"]

Call = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Best times of two ways over the same pages, in milliseconds a page."""

    plain: float
    fast: float

    @property
    def ratio(self) -> float:
        """How many times faster the second way is."""
        return self.plain / self.fast


def best_time(call: Call, rounds: int = 5) -> float:
    """Best of several times in milliseconds, after a call that does not count."""
    call()
    return min(_time(call) for _ in range(rounds))


def compare(pairs: Sequence[tuple[Call, Call]], rounds: int = 5) -> Comparison:
    """Compare a plain and a fast way on every page, the one right after the other.

    Whatever else a machine does makes a call slower, never faster: the best of some rounds is
    closest to the cost itself.

    Args:
        pairs: For each page the plain and the fast call.
        rounds: How often each pair is timed, after a call of each that does not count.
    """
    plain, fast = 0.0, 0.0
    for plain_call, fast_call in pairs:
        plain_call()
        fast_call()
        times = [(_time(plain_call), _time(fast_call)) for _ in range(rounds)]
        plain += min(time for time, _ in times)
        fast += min(time for _, time in times)
    return Comparison(plain / len(pairs), fast / len(pairs))


def _time(call: Call) -> float:
    start = time.perf_counter()
    call()
    return 1000.0 * (time.perf_counter() - start)
