"""The executor that hands jobs to Ray: each is one task, here or on any machine of a cluster."""

import math
import os
import sys
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from typing import Any

import receipt_ocr
from receipt_ocr.fan_out.job import Job, Result

LOCAL = "local"  # address that starts a Ray of its own on this machine
MOST_CPUS = 4  # CPUs of a fold where none are asked for, if a machine has as many
SENT_VARIABLES = (
    *("RECEIPT_OCR_", "MLFLOW_", "KEDRO_", "FSSPEC_"),
    *("AWS_", "AZURE_", "GOOGLE_", "HF_", "NUMBA_CACHE_DIR"),
)
"""Prefixes of the environment variables that a job takes along to its machine."""
STORE_BYTES = 80_000_000  # size of a local Ray's object store, which hardly anything passes through
PATIENCE = 10.0  # seconds that cancelled tasks get to end
INSTEAD = "leave --ray out: folds are trained on this machine then (see --devices)"


class RayExecutor:
    """Hands every job to Ray, which starts it when a machine has room for it."""

    slots = math.inf  # jobs that may be submitted at a time

    def __init__(
        self, address: str = LOCAL, *, cpus: float | None = None, gpus: float | None = None
    ) -> None:
        """Start a local Ray, or join a cluster.

        Args:
            address: ``local``, ``auto`` for this machine's cluster, or ``HOST:6379``.
            cpus: CPUs of each job; None takes 4, or all that the largest machine has.
            gpus: GPUs of each job; None takes 1 where the cluster has GPUs, else 0.

        Raises:
            ValueError: If Ray is not installed, nobody answers, or no machine has room for a job.
        """
        self._ray = _connect(address)
        try:
            self._cpus, self._gpus = _demand(self._ray.nodes(), cpus, gpus)
        except ValueError:
            self._ray.shutdown()
            raise
        self.has_gpus = self._gpus > 0
        # No retries by Ray: the scheduler counts them and reports them. A worker is used once.
        demand = {"num_cpus": self._cpus, "num_gpus": self._gpus}
        self._task = self._ray.remote(**demand, max_retries=0, max_calls=1)(_make_task())
        self._submitted: list[Any] = []

    def submit(self, job: Job) -> tuple[Future[Result], str]:
        """Put a job into Ray's queue; returns its future, and what happens for people."""
        variables = {k: v for k, v in os.environ.items() if k.startswith(SENT_VARIABLES)}
        source = str(Path(receipt_ocr.__file__).parents[1])
        paths = filter(None, [source, os.environ.get("PYTHONPATH")])
        variables["PYTHONPATH"] = os.pathsep.join(paths)
        if not self.has_gpus:  # Ray hides them only from tasks that ask for some
            variables["CUDA_VISIBLE_DEVICES"] = ""
        self._submitted.append(self._task.remote(vars(job), variables, source))
        demand = f"{self._cpus:g} CPU and {self._gpus:g} GPU"
        return self._submitted[-1].future(), f"handed to Ray, asking for {demand}"

    def close(self) -> None:
        """Kill all jobs, and leave Ray; a local Ray ends too."""
        jobs = self._submitted
        try:
            for job in jobs:
                self._ray.cancel(job, force=True)  # has no effect on those that have ended
            if jobs:
                self._ray.wait(jobs, num_returns=len(jobs), timeout=PATIENCE)
        finally:
            self._ray.shutdown()


def _connect(address: str) -> Any:
    """Import Ray, an optional extra, and start or join it without chatter."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns at every task
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise ValueError(
            f"--ray {address} needs Ray, which is not installed: "
            f'pip install "receipt_ocr[ray]"; without it, {INSTEAD}'
        ) from error
    # Neither the working directory nor packages are sent: a task finds both at the same paths.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise ValueError(
            f"--ray {address}: no Ray could be reached or started there ({error}); start one "
            f"with `ray start --head`, or {INSTEAD}"
        ) from error
    return ray


def _demand(
    nodes: list[dict[str, Any]], cpus: float | None, gpus: float | None
) -> tuple[float, float]:
    """Return the CPUs and GPUs of a job, fitted to what the cluster's machines have."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    machines = [(own.get("CPU", 0.0), own.get("GPU", 0.0)) for own in alive] or [(0.0, 0.0)]
    most_cpus, most_gpus = map(max, zip(*machines, strict=True))
    if gpus is None:
        gpus = 1.0 if most_gpus >= 1 else 0.0
    fitting = [own for own, gpus_there in machines if gpus_there >= gpus]
    if cpus is None:
        cpus = min(MOST_CPUS, max(fitting, default=1.0))
    if max(fitting, default=-1.0) < cpus:
        raise ValueError(
            f"no machine of this Ray has {cpus:g} CPU and {gpus:g} GPU for a fold; at most there "
            f"are {most_cpus:g} CPU and {most_gpus:g} GPU (--cpus-per-fold, --gpus-per-fold)"
        )
    return cpus, gpus


def _make_task() -> Any:
    # Nested, so that Ray sends its code, and without our types, which it would send by name:
    # a machine finds our modules only through ``source``.
    def run(job: dict[str, Any], variables: dict[str, str], source: str) -> Any:
        if source not in sys.path:
            sys.path.insert(0, source)
        from receipt_ocr.fan_out.job import Job, run_job

        return run_job(Job(**job), variables)

    return run
