"""Folds are submitted, watched, and tried again when they fail, until each has ended for good."""

import json
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, NamedTuple, TypeVar, cast

from omegaconf import OmegaConf

from receipt_ocr.fan_out.job import FAILED, Result, last_line
from receipt_ocr.fan_out.local import LocalExecutor
from receipt_ocr.fan_out.on_ray import RayExecutor
from receipt_ocr.fan_out.plan import Fold
from receipt_ocr.fan_out.tracking import FoldRuns
from receipt_ocr.storage.files import Folder
from receipt_ocr.training.work_folder import IDENTITY_FILE, RESULT_FILE

__all__ = ["Scheduler", "Stopped", "stop_on_signals"]

LOG_PAUSE = 30.0
"""Seconds between two looks at the logs of the folds that are trained."""

ON_GPUS = {"experiments": {"recipe": {"training": {"accelerator": "gpu"}}}}
"""Parameters of a fold that is given GPUs: it fails if they cannot be used (an old driver, say),
instead of training on the CPU without a word. An accelerator that the user names has its way."""

Found = TypeVar("Found")


class Stopped(BaseException):
    """A signal asked for the end; no Exception, so that nothing handles it on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number
        """Number of the signal."""


class Traces(NamedTuple):
    """Versions of two files of a training, which change with every writing; None if missing."""

    claim: str | None
    """Settings, written when a training begins in the folder."""
    end: str | None
    """Record of the result, written when it has finished."""


@dataclass(frozen=True)
class Scheduler:
    """Submits every fold to an executor, and again after a failure, until its tries are used up."""

    executor: LocalExecutor | RayExecutor
    runs: FoldRuns
    retries: int
    """Further tries of a fold that fails, after all others have had their first."""
    say: Callable[[str], None]
    """Takes one line for each event."""
    _before: dict[str, Traces | None] = field(default_factory=dict)
    """Fold -> traces before its first try; None if they could not be read."""
    _seen: dict[str, str] = field(default_factory=dict)
    """Fold -> last line of its log that was shown, or lay there before its try."""

    def train(self, folds: Sequence[Fold]) -> None:
        """Train all folds; they are updated in place as they come along."""
        waiting = deque(folds)
        running: dict[Future[Result], Fold] = {}
        looked = time.monotonic()
        while waiting or running:
            while waiting and len(running) < self.executor.slots:
                fold = waiting.popleft()
                running[self._submit(fold)] = fold
            for future in wait(running, LOG_PAUSE, FIRST_COMPLETED).done:
                fold = running.pop(future)
                self._conclude(fold, self._result(future))
                if fold.status == "waiting":
                    waiting.append(fold)
                else:
                    self.runs.end(fold)
            if time.monotonic() - looked >= LOG_PAUSE:
                looked = time.monotonic()
                self._show_logs(running.values())

    def _submit(self, fold: Fold) -> Future[Result]:
        now = self._look(read_traces, fold)
        before = self._before.setdefault(fold.name, now)
        # With resume=false a retry still resumes what this command began, but not what was there
        # before. If that is unknown it resumes, since starting over deletes files.
        is_ours = now is None or before is None or now.claim != before.claim
        resume = fold.tries > 0 and is_ours
        fold.tries += 1
        fold.status = "running"
        self._seen[fold.name] = last_line(fold.log)
        job = replace(
            fold.job,
            params=self._params(fold),
            attempt=f"try {fold.tries} of {self.retries + 1}",
            resume=resume,
        )
        future, event = self.executor.submit(job)
        self.say(f"{fold.name}: {event} ({job.attempt})")
        return future

    def _params(self, fold: Fold) -> dict[str, Any]:
        params = {**fold.job.params, **self.runs.open(fold)}
        if not self.executor.has_gpus:
            return params
        return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.merge(ON_GPUS, params)))

    def _result(self, future: Future[Result]) -> Result:
        try:
            return future.result()
        except self.executor.errors as error:  # no log could be written, a machine is gone ...
            lines = [line for line in str(error).splitlines() if line.strip()]
            message = f"{type(error).__name__}: {' '.join(lines[:2])}"
            return Result(message, 0.0, "an unknown machine")

    def _conclude(self, fold: Fold, result: Result) -> None:
        """Note how a job ended; the status is ``waiting`` if the fold is to be tried again."""
        fold.seconds += result.seconds
        if result.message:
            fold.message = result.message
            is_last = fold.tries > self.retries
            fold.status = "failed" if is_last else "waiting"
            ahead = "no try is left" if is_last else "it will be tried again"
            self.say(f"{fold.name}: FAILED on {result.host}, {ahead}: {result.message}")
            return
        after, before = self._look(read_traces, fold), self._before[fold.name]
        was_finished = bool(after and before and after.end and after.end == before.end)
        fold.status = "finished before" if was_finished else "trained"
        fold.hmean, fold.epoch = self._look(read_best, fold) or (None, None)
        score = "" if fold.hmean is None else f", best H-mean {fold.hmean:.4f}"
        self.say(f"{fold.name}: {fold.status} on {result.host}, {fold.seconds / 60:.1f} min{score}")

    def _look(self, read: Callable[[Folder], Found], fold: Fold) -> Found | None:
        """Read a fold's folder; None if its storage does not answer, which must end no fold."""
        try:
            return read(fold.folder)
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            self.say(f"{fold.name}: its folder cannot be read now ({error})")
            return None

    def _show_logs(self, running: Iterable[Fold]) -> None:
        for fold in running:
            line = last_line(fold.log)
            if line and line != self._seen[fold.name] and not line.startswith(FAILED):
                self._seen[fold.name] = line
                self.say(f"{fold.name}: {line}")


def read_traces(folder: Folder) -> Traces:
    """Look which trainings have begun and finished in a folder."""
    return Traces(folder.stamp(IDENTITY_FILE), folder.stamp(RESULT_FILE))


def read_best(folder: Folder) -> tuple[float | None, int | None]:
    """Read H-mean and number of the best epoch of a finished training; None if unknown."""
    try:
        record = json.loads(folder.read(RESULT_FILE))
    except FileNotFoundError:
        return None, None
    return record["best_hmean"], record["best_epoch"]


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise :class:`Stopped` at the first SIGINT (Ctrl-C) or SIGTERM, and ignore further ones."""
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
