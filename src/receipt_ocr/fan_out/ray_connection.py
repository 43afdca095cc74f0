"""Ray, an optional extra: imported when asked for, and started or joined without chatter."""

import os
from importlib import import_module
from typing import Any

__all__ = ["LOCAL", "connect_ray", "import_ray"]

LOCAL = "local"
"""Address that starts a Ray of its own on this machine."""


def import_ray(asked_by: str, instead: str) -> Any:
    """The library.

    Args:
        asked_by: The option or setting that asks for it with its value, for the message.
        instead: What to do without it, for the message.

    Raises:
        ValueError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns at every task
    try:
        return import_module("ray")
    except ImportError as error:
        raise ValueError(
            f"{asked_by} needs Ray, which is not installed: pip install "
            f'"receipt_ocr[ray]"; without it, {instead}'
        ) from error


def connect_ray(ray: Any, address: str, store_bytes: int, asked_by: str, instead: str) -> None:
    """Start a Ray on this machine, or join a cluster.

    Args:
        ray: The library.
        address: ``local``, ``auto`` for the cluster that this machine belongs to, or
            ``HOST:PORT``.
        store_bytes: Of the object store of one that is started here.
        asked_by: As for :func:`import_ray`.
        instead: The same.

    Raises:
        ValueError: If nobody answers at the address.
    """
    # Neither the working directory nor packages are sent: a task finds both at the same paths.
    more = {"include_dashboard": False, "object_store_memory": store_bytes}
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            **(more if address == LOCAL else {}),
        )
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise ValueError(
            f"{asked_by}: no Ray could be reached or started there ({error}); start one "
            f"with `ray start --head`, or {instead}"
        ) from error
