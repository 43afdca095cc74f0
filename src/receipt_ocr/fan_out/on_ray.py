"""Folds on Ray: one fold is one task, here or on any machine of a cluster."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import receipt_ocr
from receipt_ocr.fan_out.process import Ending, Order
from receipt_ocr.fan_out.ray_connection import LOCAL, connect_ray, import_ray

__all__ = ["LOCAL", "RayCrew"]

MOST_CPUS = 4
"""CPUs of a fold where nothing is said, as far as a machine has them."""

HANDED_OVER = (
    "RECEIPT_OCR_",
    "MLFLOW_",
    "KEDRO_",
    "FSSPEC_",
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "HF_",
    "NUMBA_CACHE_DIR",
)
"""How the environment variables begin that a task takes along to its machine."""

STORE_BYTES = 80_000_000
"""Of the local object store: next to nothing is passed through it."""

INSTEAD = "leave --ray out: folds are trained on this machine then (see --devices)"

PATIENCE = 10.0
"""Seconds that cancelled tasks get to end."""


class RayCrew:
    """Hands every fold to Ray, which starts it when a machine has room for it."""

    has_queue = True

    def __init__(
        self, address: str = LOCAL, *, cpus: float | None = None, gpus: float | None = None
    ) -> None:
        """Start a local Ray, or connect to a cluster.

        Args:
            address: ``local``, ``auto`` for the cluster that this machine belongs to,
                or ``HOST:6379``.
            cpus: Of each fold; None takes 4, or all that the largest machine has.
            gpus: Of each fold; None takes 1 where the cluster has GPUs, else 0.

        Raises:
            ValueError: If Ray is not installed, nobody answers at the address, or no machine is
                large enough for one fold.
        """
        self._ray = import_ray(f"--ray {address}", INSTEAD)
        connect_ray(self._ray, address, STORE_BYTES, f"--ray {address}", INSTEAD)
        try:
            self._cpus, self._gpus = _demand(self._ray.nodes(), cpus, gpus)
        except ValueError:
            self._ray.shutdown()
            raise
        self._work = _make_task(self._ray, self._cpus, self._gpus)
        self._tasks: dict[str, Any] = {}

    @property
    def has_gpus(self) -> bool:
        """Whether every fold is given GPUs."""
        return self._gpus > 0

    @property
    def has_room(self) -> bool:
        """Ray has a queue of its own."""
        return True

    def launch(self, order: Order) -> str:
        """Hand over a fold; what was asked for it, for people."""
        variables = {k: v for k, v in os.environ.items() if k.startswith(HANDED_OVER)}
        source = str(Path(receipt_ocr.__file__).parents[1])
        path = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        variables |= {"PYTHONPATH": os.pathsep.join(path), **order.variables}
        if not self._gpus:  # Ray hides them only from tasks that ask for some
            variables["CUDA_VISIBLE_DEVICES"] = ""
        own = {**asdict(order), "variables": variables}
        self._tasks[order.name] = self._work.remote(own, source)
        return f"handed to Ray, asking for {self._cpus:g} CPU and {self._gpus:g} GPU"

    def collect(self) -> dict[str, Ending]:
        """The folds that have ended since the last call, by name."""
        if not self._tasks:
            return {}
        tasks = list(self._tasks.values())
        ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
        names = [name for name, task in self._tasks.items() if task in ready]
        return {name: self._conclude(self._tasks.pop(name)) for name in names}

    def stop(self) -> None:
        """End all tasks, at once, and leave Ray; a local one ends as well."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        try:
            for task in tasks:
                self._ray.cancel(task, force=True)
            if tasks:
                self._ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)
        finally:
            self._ray.shutdown()

    def _conclude(self, task: Any) -> Ending:
        try:
            return Ending(**self._ray.get(task))
        except self._ray.exceptions.RayError as error:  # its worker or machine is gone
            lines = [line for line in str(error).splitlines() if line.strip()]
            message = f"{type(error).__name__}: {' '.join(lines[:2])}"
            return Ending(message, 0.0, "a machine of the cluster")


def _demand(
    nodes: list[dict[str, Any]], cpus: float | None, gpus: float | None
) -> tuple[float, float]:
    """CPUs and GPUs of a fold, after a look at what the machines have."""
    machines: list[Mapping[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
    most = {kind: max((m.get(kind, 0.0) for m in machines), default=0.0) for kind in ("CPU", "GPU")}
    if gpus is None:
        gpus = 1.0 if most["GPU"] >= 1 else 0.0
    with_gpus = [m.get("CPU", 0.0) for m in machines if m.get("GPU", 0.0) >= gpus]
    if cpus is None:
        cpus = min(MOST_CPUS, max(with_gpus, default=1.0))
    if not any(count >= cpus for count in with_gpus):
        raise ValueError(
            f"no machine of this Ray has {cpus:g} CPU and {gpus:g} GPU for a fold; at most there "
            f"are {most['CPU']:g} CPU and {most['GPU']:g} GPU (--cpus-per-fold, --gpus-per-fold)"
        )
    return cpus, gpus


def _make_task(ray: Any, cpus: float, gpus: float) -> Any:
    def train_fold(order: dict[str, Any], source: str) -> dict[str, Any]:
        import sys

        if source not in sys.path:  # the worker's machine need not have the package installed
            sys.path.insert(0, source)
        from receipt_ocr.fan_out.process import follow_order

        return follow_order(order)

    # Retries are the caller's, who counts them and tells of them. A worker is used once.
    return ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, max_calls=1)(train_fold)
