"""Folds on this machine: one after another, or one on each device."""

import os
from collections.abc import Sequence

from receipt_ocr.fan_out.process import Ending, FoldProcess, Order

__all__ = ["LocalCrew", "share_devices"]

DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
THREADS_VARIABLE = "OMP_NUM_THREADS"


class LocalCrew:
    """As many folds at the same time as there are shares of devices; a process a fold."""

    has_queue = False

    def __init__(self, shares: Sequence[Sequence[str]] = (), cpus: int | None = None) -> None:
        """Take hold of nothing yet.

        Args:
            shares: The devices of each fold that is trained at a time; without any, folds are
                trained one after another, with what the machine has.
            cpus: Threads of each; None leaves that to the libraries.
        """
        self._free: list[tuple[str, ...] | None] = [tuple(share) for share in shares] or [None]
        self._cpus = cpus
        self.has_gpus = bool(shares)
        self._busy: dict[str, tuple[FoldProcess, tuple[str, ...] | None]] = {}

    @property
    def has_room(self) -> bool:
        """Whether one more fold can start now."""
        return bool(self._free)

    def launch(self, order: Order) -> str:
        """Start a fold; where it runs, for people."""
        share = self._free.pop(0)
        variables = dict(order.variables)
        if share is not None:
            variables[DEVICES_VARIABLE] = ",".join(share)
        if self._cpus is not None:
            variables[THREADS_VARIABLE] = str(self._cpus)
        own = Order(**{**vars(order), "variables": variables})
        self._busy[order.name] = FoldProcess(own), share
        return "" if share is None else f"on device {','.join(share)}"

    def collect(self) -> dict[str, Ending]:
        """The folds that have ended since the last call, by name."""
        endings = {}
        for name, (process, share) in list(self._busy.items()):
            ending = process.poll()
            if ending is not None:
                endings[name] = ending
                del self._busy[name]
                self._free.append(share)
        return endings

    def stop(self) -> None:
        """End all that runs, at once."""
        for process, _ in self._busy.values():
            process.kill()
        self._busy.clear()


def share_devices(text: str, each: int) -> list[list[str]]:
    """Deal devices to folds: ``0,1,2,3`` by two is ``0,1`` and ``2,3``.

    Args:
        text: Numbers or ids, as CUDA_VISIBLE_DEVICES takes them.
        each: Devices a fold.

    Raises:
        ValueError: If one is named twice, or they are too few or do not come out even.
    """
    devices = [device.strip() for device in text.split(",") if device.strip()]
    if len(set(devices)) < len(devices):
        raise ValueError(f"--devices {text} names a device twice")
    if not devices or each < 1 or len(devices) % each:
        raise ValueError(f"--devices {text} cannot be shared out to folds by {each}")
    visible = os.environ.get(DEVICES_VARIABLE)
    known = None if visible is None else [device.strip() for device in visible.split(",")]
    if known is not None and (hidden := [device for device in devices if device not in known]):
        raise ValueError(
            f"--devices {text}: {', '.join(hidden)} is not among {DEVICES_VARIABLE}={visible}"
        )
    return [devices[start : start + each] for start in range(0, len(devices), each)]
