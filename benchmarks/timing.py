"""Times of two ways of doing the same, side by side on the same machine."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Call = Callable[[], object]

_LEAST = 20.0  # milliseconds of a round


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
    """Milliseconds of a call: the best of several rounds, after a call that does not count."""
    number = _choose_number(call)
    return min(_time(call, number) for _ in range(rounds))


def compare(pairs: Sequence[tuple[Call, Call]], rounds: int = 5) -> Comparison:
    """Compare a plain and a fast way on every page, the one right after the other.

    A round takes the mean of as many calls as fill 20 ms, the same for both ways. Whatever else a
    machine does makes a round slower, never faster: the best one is closest to the cost itself.
    """
    plain, fast = 0.0, 0.0
    for plain_call, fast_call in pairs:
        numbers = _choose_number(plain_call), _choose_number(fast_call)
        times = [
            (_time(plain_call, numbers[0]), _time(fast_call, numbers[1])) for _ in range(rounds)
        ]
        plain += min(time for time, _ in times)
        fast += min(time for _, time in times)
    return Comparison(plain / len(pairs), fast / len(pairs))


def _choose_number(call: Call) -> int:
    """Count the calls that fill a round, after one that loads and compiles."""
    call()
    return max(1, math.ceil(_LEAST / _time(call, 1)))


def _time(call: Call, number: int) -> float:
    """Mean milliseconds of so many calls in a row."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return 1000.0 * (time.perf_counter() - start) / number
