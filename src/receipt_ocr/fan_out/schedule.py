"""Folds are submitted, watched, and tried again when they fail, until each has ended for good."""

import json
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, cast

from omegaconf import OmegaConf

from receipt_ocr.fan_out.job import FAILED, Result, last_line
from receipt_ocr.fan_out.local import LocalExecutor
from receipt_ocr.fan_out.on_ray import RayExecutor
from receipt_ocr.fan_out.plan import Fold, Traces
from receipt_ocr.fan_out.tracking import FoldRuns
from receipt_ocr.storage.files import Folder
from receipt_ocr.training.work_folder import IDENTITY_FILE, RESULT_FILE

LOG_PAUSE = 30.0  # seconds between two looks at the logs of the folds that are trained

ON_GPUS = {"experiments": {"recipe": {"training": {"accelerator": "gpu"}}}}
"""Parameters of a fold that is given GPUs: it fails if they cannot be used (an old driver, say),
instead of training on the CPU without a word. An accelerator that the user names has its way."""


class Stopped(SystemExit):
    """A signal asked for the end; no Exception, so that nothing handles it on the way."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)  # as a shell reports it
        self.name = signal.Signals(number).name


@dataclass(frozen=True)
class Scheduler:
    """Submits every fold to an executor, and again after a failure, until its tries are used up."""

    executor: LocalExecutor | RayExecutor
    runs: FoldRuns
    retries: int  # further tries of a fold that fails, after all others have had their first
    say: Callable[[str], None]  # takes one line for each event

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
                self._conclude(fold, _result(future))
                if fold.status == "waiting":
                    waiting.append(fold)
                else:
                    self.runs.end(fold)
            if time.monotonic() - looked >= LOG_PAUSE:
                looked = time.monotonic()
                for fold in running.values():
                    self._show_log(fold)

    def _submit(self, fold: Fold) -> Future[Result]:
        now = self._look(fold)
        if fold.tries == 0:
            fold.before = now
        # With resume=false a retry still resumes what this command began, but not what was there
        # before. If that is unknown it resumes, since starting over deletes files.
        is_ours = now is None or fold.before is None or now.begun != fold.before.begun
        resume = fold.tries > 0 and is_ours
        fold.tries += 1
        fold.status = "running"
        fold.shown = last_line(fold.log)
        attempt = f"try {fold.tries} of {self.retries + 1}"
        job = replace(fold.job, params=self._params(fold), attempt=attempt, resume=resume)
        future, event = self.executor.submit(job)
        self.say(f"{fold.name}: {event} ({attempt})")
        return future

    def _params(self, fold: Fold) -> dict[str, Any]:
        params = {**fold.job.params, **self.runs.open(fold)}
        if not self.executor.has_gpus:
            return params
        return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.merge(ON_GPUS, params)))

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
        fold.after = self._look(fold) or fold.after
        version, hmean = fold.after.finished, fold.after.hmean
        was_finished = version and fold.before and version == fold.before.finished
        fold.status = "finished before" if was_finished else "trained"
        score = "" if hmean is None else f", best H-mean {hmean:.4f}"
        self.say(f"{fold.name}: {fold.status} on {result.host}, {fold.seconds / 60:.1f} min{score}")

    def _look(self, fold: Fold) -> Traces | None:
        """Read a fold's folder; None if its storage does not answer, which must end no fold."""
        try:
            return read_traces(fold.folder)
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own
            self.say(f"{fold.name}: its folder cannot be read now ({error})")
            return None

    def _show_log(self, fold: Fold) -> None:
        line = last_line(fold.log)
        if line and line != fold.shown and not line.startswith(FAILED):
            fold.shown = line
            self.say(f"{fold.name}: {line}")


def read_traces(folder: Folder) -> Traces:
    """Look which trainings have begun and finished in a folder."""
    begun, finished = folder.stamp(IDENTITY_FILE), folder.stamp(RESULT_FILE)
    if finished is None:
        return Traces(begun, finished)
    record = json.loads(folder.read(RESULT_FILE))
    return Traces(begun, finished, record["best_hmean"], record["best_epoch"])


def _result(future: Future[Result]) -> Result:
    error = future.exception()
    if error is None:
        return future.result()
    # No log could be written, a machine is gone ...
    lines = [line for line in str(error).splitlines() if line.strip()]
    return Result(f"{type(error).__name__}: {' '.join(lines[:2])}", 0.0, "an unknown machine")


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
