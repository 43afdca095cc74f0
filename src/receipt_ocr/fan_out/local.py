"""The executor for this machine: jobs run one after another, or one on each device."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from receipt_ocr.fan_out.job import Job, Result, run_job

DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"


class LocalExecutor:
    """Runs as many jobs at a time as there are shares of devices."""

    def __init__(self, shares: Sequence[str] = (), threads: int | None = None) -> None:
        """Start nothing yet.

        Args:
            shares: Devices of each slot, such as ``0,1``; without any, jobs run one after another
                with all that the machine has.
            threads: Threads of each job; None leaves that to the libraries.
        """
        self.has_gpus = bool(shares)
        self._free = list(shares) or [""]
        self.slots = len(self._free)
        self._variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self._pool = ThreadPoolExecutor(self.slots)
        self._stop = Event()

    def submit(self, job: Job) -> tuple[Future[Result], str]:
        """Start a job in a free slot; returns its future, and what happens for people."""
        devices = self._free.pop(0)
        where = f"starts on device {devices}" if devices else "starts"
        return self._pool.submit(self._run, job, devices), where

    def close(self) -> None:
        """Kill all jobs."""
        self._stop.set()
        self._pool.shutdown()

    def _run(self, job: Job, devices: str) -> Result:
        own = {DEVICES_VARIABLE: devices} if devices else {}
        try:
            return run_job(job, {**self._variables, **own}, self._stop)
        finally:
            self._free.append(devices)


def share_devices(text: str, each: float) -> list[str]:
    """Deal devices, as CUDA_VISIBLE_DEVICES has them: ``0,1,2,3`` by two is ``0,1`` and ``2,3``.

    Raises:
        ValueError: If a device is named twice or not visible, or they cannot be shared out evenly.
    """
    if each % 1:
        raise ValueError(f"--gpus-per-fold must be a whole number with --devices, got {each:g}")
    devices, size = _split(text), int(each)
    if len(set(devices)) < len(devices):
        raise ValueError(f"--devices {text} names a device twice")
    if not devices or size < 1 or len(devices) % size:
        raise ValueError(f"--devices {text} cannot be shared out to folds by {size}")
    visible = os.environ.get(DEVICES_VARIABLE, text)
    if hidden := [device for device in devices if device not in _split(visible)]:
        names = ", ".join(hidden)
        raise ValueError(f"--devices {text}: {names} is not among {DEVICES_VARIABLE}={visible}")
    return [",".join(devices[start : start + size]) for start in range(0, len(devices), size)]


def _split(text: str) -> list[str]:
    return [device.strip() for device in text.split(",") if device.strip()]
