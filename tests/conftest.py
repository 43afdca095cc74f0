"""Fixtures that every test may use."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# albumentations asks the network for updates at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


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
