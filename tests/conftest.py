"""Fixtures that every test may use."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

# albumentations asks the network for updates at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

LONGEST_FIRST = (
    "test_end_to_end.py",
    "test_notebooks.py",
    "test_ray.py",
    "test_processes.py",
    "test_page_workers.py",
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


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a run, made once for all processes: it takes them seconds."""
    own = tmp_path_factory.getbasetemp()
    file = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "empty_mlflow.db"
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            from mlflow.tracking import MlflowClient

            partial = file.with_suffix(".partial")
            MlflowClient(f"sqlite:///{partial}").search_experiments()
            partial.rename(file)
    return file


@pytest.fixture
def tracking_uri(empty_tables: Path, tmp_path: Path) -> str:
    """An MLflow database of the test's own."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    shutil.copy(empty_tables, folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture(autouse=True)
def no_mlflow_run_left_open() -> Iterator[Callable[[], None]]:
    """Ends what a session has left open: the next one in this process would log into it."""
    yield _end_mlflow_runs
    _end_mlflow_runs()


def _end_mlflow_runs() -> None:
    if mlflow := sys.modules.get("mlflow"):
        while mlflow.active_run():
            mlflow.end_run()
        # Its number belongs to a database that the next test does not have.
        mlflow.tracking.fluent._active_experiment_id = None
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    if hooks := sys.modules.get("kedro_mlflow.framework.hooks"):
        hooks.mlflow_hook.run_id = None  # it is one object for all sessions of a process
