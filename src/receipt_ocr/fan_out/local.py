"""The executor for this machine: jobs run one after another, or one on each device."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from receipt_ocr.fan_out.job import Job, Result, run_job

__all__ = ["LocalExecutor", "share_devices"]

DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
THREADS_VARIABLE = "OMP_NUM_THREADS"


class LocalExecutor:
    """Runs as many jobs at a time as there are shares of devices."""

    errors = (OSError,)
    """Exceptions of a future whose job could not be run."""

    def __init__(self, shares: Sequence[str] = (), cpus: int | None = None) -> None:
        """Start nothing yet.

        Args:
            shares: Devices of each slot, such as ``0,1``; without any, jobs run one after another
                with all that the machine has.
            cpus: Threads of each job; None leaves that to the libraries.
        """
        self.has_gpus = bool(shares)
        self._free = list(shares) or [""]
        self.slots = len(self._free)
        self._threads = {} if cpus is None else {THREADS_VARIABLE: str(cpus)}
        self._pool = ThreadPoolExecutor(self.slots)
        self._stop = Event()

    def submit(self, job: Job) -> tuple[Future[Result], str]:
        """Start a job, if a slot is free; returns its future, and what happens for people."""
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
            return run_job(job, {**self._threads, **own}, self._stop)
        finally:
            self._free.append(devices)


def share_devices(text: str, each: int) -> list[str]:
    """Deal devices to jobs: ``0,1,2,3`` by two gives ``0,1`` and ``2,3``.

    Args:
        text: Numbers or ids, as CUDA_VISIBLE_DEVICES takes them.
        each: Devices per job.

    Raises:
        ValueError: If a device is named twice or not visible, or some would be left over.
    """
    devices = _split(text)
    if len(set(devices)) < len(devices):
        raise ValueError(f"--devices {text} names a device twice")
    if not devices or each < 1 or len(devices) % each:
        raise ValueError(f"--devices {text} cannot be shared out to folds by {each}")
    visible = os.environ.get(DEVICES_VARIABLE)
    hidden = [] if visible is None else [one for one in devices if one not in _split(visible)]
    if hidden:
        names = ", ".join(hidden)
        raise ValueError(f"--devices {text}: {names} is not among {DEVICES_VARIABLE}={visible}")
    return [",".join(devices[start : start + each]) for start in range(0, len(devices), each)]


def _split(text: str) -> list[str]:
    return [device.strip() for device in text.split(",") if device.strip()]
