"""Fixtures that every test may use."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# albumentations asks the network for updates at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

LONGEST_FIRST = (
    "test_end_to_end.py",
    "test_ray.py",
    "test_processes.py",
    "test_command.py",
    "test_s3.py",
    "test_experiments.py",
)
"""Files that would keep one process busy when the others are done, if they came last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST_FIRST)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the golden files and real receipts beside the project, where it exists."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("reference data not present beside the project")
    return folder


@pytest.fixture(autouse=True)
def no_mlflow_run_left_open() -> Iterator[None]:
    """End what a session has left open: the next one in this process would log into it."""
    yield
    if mlflow := sys.modules.get("mlflow"):
        while mlflow.active_run():
            mlflow.end_run()
    if hooks := sys.modules.get("kedro_mlflow.framework.hooks"):
        hooks.mlflow_hook.run_id = None  # it is one object for all sessions of a process
