"""Folds are launched, watched and tried again until each has ended for good."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal, Protocol, TypeVar

from receipt_ocr.fan_out.plan import Fold
from receipt_ocr.fan_out.process import FAILED, TITLE, Ending, Order, last_line
from receipt_ocr.fan_out.traces import Traces, read_best, read_traces
from receipt_ocr.storage.files import Folder

__all__ = ["Crew", "Outcome", "Stopped", "stop_on_signals", "train_folds"]

PAUSE = 0.2
"""Seconds between two looks at the folds that run."""

LOG_PAUSE = 30.0
"""Seconds between two looks at their logs."""

Found = TypeVar("Found")

Status = Literal["waiting", "running", "trained", "finished before", "failed", "stopped"]


class Stopped(BaseException):
    """A signal asked for the end; not an error that anybody handles on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        """Of the signal."""


class Crew(Protocol):
    """Whoever trains folds."""

    @property
    def has_queue(self) -> bool:
        """Whether a fold may wait after it was launched."""

    @property
    def has_gpus(self) -> bool:
        """Whether every fold is given GPUs, and may rely on them."""

    @property
    def has_room(self) -> bool:
        """Whether one more fold may be launched now."""

    def launch(self, order: Order) -> str:
        """Take an order; returns what happens with it, for people."""

    def collect(self) -> dict[str, Ending]:
        """The orders that have ended since the last call, by name."""

    def stop(self) -> None:
        """End all that goes on, at once."""


@dataclass
class Outcome:
    """How far a fold has come.

    Attributes:
        fold: Which one.
        status: ``finished before`` if it was trained already when the command began.
        tries: That were launched.
        seconds: Of all tries that have ended.
        hmean: Best page-mean H-mean on the validation pages; None where it is unknown.
        epoch: That had it, from 0.
        message: Of the last failure.
    """

    fold: Fold
    status: Status = "waiting"
    tries: int = 0
    seconds: float = 0.0
    hmean: float | None = None
    epoch: int | None = None
    message: str = ""
    _before: Traces | None = field(default=None, repr=False)
    _seen: str = field(default="", repr=False)


def train_folds(
    outcomes: Sequence[Outcome],
    crew: Crew,
    make_order: Callable[[Outcome, bool], Order],
    retries: int,
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    """Train all folds; each is yielded when it has ended for good, the others go on.

    Args:
        outcomes: A new one for each fold; brought up to date in place.
        crew: Who trains.
        make_order: Outcome, and whether the try goes on from an earlier one -> what to do.
        retries: Further tries of a fold that has failed, after all others have had their first.
        say: Takes one line a thing that happens.
    """
    waiting = deque(outcomes)
    running: dict[str, Outcome] = {}
    looked = time.monotonic()
    while waiting or running:
        while waiting and crew.has_room:
            outcome = waiting.popleft()
            running[outcome.fold.name] = outcome
            _launch(outcome, crew, make_order, retries, say)
        for name, ending in crew.collect().items():
            outcome = running.pop(name)
            if _take_in(outcome, ending, retries, say):
                yield outcome
            else:
                waiting.append(outcome)
        if time.monotonic() - looked >= LOG_PAUSE:
            looked = time.monotonic()
            _say_last_lines(running.values(), say)
        time.sleep(PAUSE)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """SIGINT (Ctrl-C) and SIGTERM raise :class:`Stopped` inside; the first one only."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, _: FrameType | None) -> None:
        for each in numbers:  # nothing may interrupt the cleaning up
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    earlier = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _launch(
    outcome: Outcome,
    crew: Crew,
    make_order: Callable[[Outcome, bool], Order],
    retries: int,
    say: Callable[[str], None],
) -> None:
    now = _look(read_traces, outcome.fold, say)
    if outcome.tries == 0:
        outcome._before = now
    # Only from a try of this command: with resume=false, what was there before does not count.
    # Where it is not known, nothing is deleted.
    is_new = now is None or outcome._before is None or now.claim != outcome._before.claim
    goes_on = outcome.tries > 0 and is_new
    outcome.tries += 1
    outcome.status = "running"
    outcome._seen = last_line(outcome.fold.log)
    where = crew.launch(make_order(outcome, goes_on))
    verb = "" if crew.has_queue else "starts"
    attempt = f"try {outcome.tries} of {retries + 1}"
    say(f"{outcome.fold.name}: {' '.join(filter(None, [verb, where]))} ({attempt})")


def _take_in(outcome: Outcome, ending: Ending, retries: int, say: Callable[[str], None]) -> bool:
    """Note how a try ended; False if there is to be another one."""
    name = outcome.fold.name
    outcome.seconds += ending.seconds
    if ending.message:
        outcome.message = ending.message
        is_last = outcome.tries > retries
        outcome.status = "failed" if is_last else "waiting"
        ahead = "no try is left" if is_last else "it will be tried again"
        say(f"{name}: FAILED on {ending.host}, {ahead}: {ending.message}")
        return is_last
    after, before = _look(read_traces, outcome.fold, say), outcome._before
    was_finished = bool(after and before and after.end and after.end == before.end)
    outcome.status = "finished before" if was_finished else "trained"
    outcome.hmean, outcome.epoch = _look(read_best, outcome.fold, say) or (None, None)
    score = "" if outcome.hmean is None else f", best H-mean {outcome.hmean:.4f}"
    say(f"{name}: {outcome.status} on {ending.host}, {outcome.seconds / 60:.1f} min{score}")
    return True


def _look(read: Callable[[Folder], Found], fold: Fold, say: Callable[[str], None]) -> Found | None:
    """What a fold's folder tells; None where its storage does not answer: that ends no fold."""
    try:
        return read(fold.folder)
    except Exception as error:  # noqa: BLE001 - every file system has errors of its own
        say(f"{fold.name}: its folder cannot be read now ({error})")
        return None


def _say_last_lines(running: Iterable[Outcome], say: Callable[[str], None]) -> None:
    for outcome in running:
        line = last_line(outcome.fold.log)
        if line and line != outcome._seen and not line.startswith((TITLE, FAILED)):
            outcome._seen = line
            say(f"{outcome.fold.name}: {line}")
