"""One try of a fold as a process: started, waited for, and killed with all its children."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

PIPELINE = "train_fold"
TITLE = "---- "  # start of the first line that a try writes to the log
FAILED = "failed: "  # start of the last line that a failed try writes to the log
TAIL = 16384  # bytes at the end of a log that are searched for its last lines
WIDTH = 600  # characters of a message that are kept
PAUSE = 0.1  # seconds between two looks at a process


@dataclass(frozen=True)
class Job:
    """All that a machine must know to train a fold once; plain values, so that it can be sent."""

    name: str
    project: str  # folder of the Kedro project
    env: str | None
    params: Mapping[str, Any]  # runtime parameters of the Kedro session
    log: str  # file that the output is appended to
    folder: str  # working directory, which relative paths start from
    attempt: str = ""  # number of the try, for people: try 1 of 3
    resume: bool = False  # go on from what an earlier try has left, whatever the parameters say


class Result(NamedTuple):
    """The end of a job."""

    message: str  # reason of a failure; empty if the job succeeded
    seconds: float
    host: str  # name of the machine that it ran on


def run_job(job: Job, variables: Mapping[str, str], stop: Event | None = None) -> Result:
    """Run a job as a process of its own, which ends when this process ends, however that happens.

    Args:
        job: Job to run.
        variables: Environment variables to set.
        stop: Kills the process when it is set; a training can be resumed after that.
    """
    stop, start, host, log = stop or Event(), time.monotonic(), socket.gethostname(), Path(job.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        title = f"{TITLE}{job.name}, {job.attempt}, {time.strftime('%F %T')}, {host}\n"
        output.write(title.encode())
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "receipt_ocr.fan_out.worker", json.dumps(vars(job))],
            stdin=subprocess.PIPE,  # nothing is written to it: the worker ends when it is closed
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=job.folder,
            env={**os.environ, **variables, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # a group that is killed as one, and that Ctrl-C does not reach
        )
    while process.poll() is None and not stop.wait(PAUSE):
        pass
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS reports the latter
        os.killpg(process.pid, signal.SIGKILL)  # children may outlive a process that has ended
    return Result(_explain(process.wait(), log), time.monotonic() - start, host)


def last_line(log: Path) -> str:
    """Return the last line of the last try in a log; empty if there is none."""
    return next(reversed(_last_try(log)), "")


def _explain(code: int, log: Path) -> str:
    """Say why a process failed; empty if it did not."""
    if code == 0:
        return ""
    if code < 0:
        hint = ", as happens where memory runs out" if code == -signal.SIGKILL else ""
        return f"killed by signal {signal.Signals(-code).name}{hint}"
    own = [line for line in _last_try(log) if line.startswith(FAILED)]
    return own[-1].removeprefix(FAILED) if own else f"exit code {code}: {last_line(log)}"


def _last_try(log: Path) -> list[str]:
    """Return the last lines of a log that are not empty, as far as they are of the last try."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    lines = [line.strip()[:WIDTH] for line in text.splitlines() if line.strip()]
    titles = [number for number, line in enumerate(lines) if line.startswith(TITLE)]
    return lines[titles[-1] + 1 :] if titles else lines
