"""A fold's training as a process of its own: started, watched and ended with all its children."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["FAILED", "TITLE", "Ending", "FoldProcess", "Order", "follow_order", "last_line"]

TITLE = "---- "
"""How the first line of a try begins in the log."""

TAIL = 16384
"""Bytes of a log that are looked at for its last lines."""

WIDTH = 600
"""Characters of a message that are kept."""

FAILED = "failed: "
"""How the last line of a log begins whose training failed."""


@dataclass(frozen=True)
class Order:
    """Everything a machine must know to train a fold; plain values, so that it travels as JSON.

    Attributes:
        name: For people, and in the list of processes.
        project: Folder of the Kedro project.
        env: Its environment; None for the default one.
        params: Runtime parameters of the session.
        pipeline: To run.
        resume: Go on from what an earlier try has left, also where the parameters say otherwise.
        title: First line in the log.
        log: File that the output is added to.
        folder: Working folder, which relative addresses start from.
        variables: Environment variables to set.
    """

    name: str
    project: str
    env: str | None
    params: Mapping[str, Any]
    pipeline: str
    resume: bool
    title: str
    log: str
    folder: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Ending:
    """How a try went.

    Attributes:
        message: Of the failure; empty if it went well.
        seconds: That it took.
        host: Machine it ran on.
    """

    message: str
    seconds: float
    host: str


class FoldProcess:
    """A running try. It ends when this process ends, however that happens."""

    def __init__(self, order: Order) -> None:
        """Start the process."""
        self.order = order
        self._start = time.monotonic()
        log = Path(order.log)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"{TITLE}{order.title}, {time.strftime('%F %T')}, {_host()}\n".encode())
            output.flush()
            self._offset = output.tell()
            self._process = _start(order, output)

    def poll(self) -> Ending | None:
        """How it ended; None while it goes on."""
        code = self._process.poll()
        if code is None:
            return None
        self._end_group()  # children of a process that was killed
        return Ending(self._describe(code), time.monotonic() - self._start, _host())

    def wait(self) -> Ending:
        """How it ended, once it has."""
        self._process.wait()
        ending = self.poll()
        assert ending is not None
        return ending

    def kill(self) -> None:
        """End it and its children at once; trainings survive that."""
        self._end_group()
        self._process.wait()

    def _end_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says it so
            return

    def _describe(self, code: int) -> str:
        if code == 0:
            return ""
        if code == -signal.SIGKILL:
            return "killed by signal SIGKILL, as happens where memory runs out"
        if code < 0:
            return f"killed by signal {signal.Signals(-code).name}"
        for line in reversed(_tail(Path(self.order.log), self._offset)):
            if line.startswith(FAILED):
                return line.removeprefix(FAILED)[:WIDTH]
        return f"exit code {code}: {last_line(Path(self.order.log), self._offset)}"


def follow_order(order: Mapping[str, Any]) -> dict[str, Any]:
    """Train a fold and say how it went; for a worker that is told to by plain values."""
    return asdict(FoldProcess(Order(**order)).wait())


def last_line(log: Path, offset: int = 0) -> str:
    """The last line of a log that is not empty, from ``offset`` on; empty if there is none."""
    lines = _tail(log, offset)
    return lines[-1][:WIDTH] if lines else ""


def _start(order: Order, output: IO[bytes]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "receipt_ocr.fan_out.session", order.name],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=order.folder,
        env={**os.environ, **order.variables, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # a group that can be ended as one, out of reach of Ctrl-C
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        process.stdin.flush()  # and left open: see the other side
    except BrokenPipeError:
        pass  # it has failed already; its log says why
    return process


def _tail(log: Path, offset: int) -> list[str]:
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - TAIL))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _host() -> str:
    return socket.gethostname()
