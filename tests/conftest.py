"""Fixtures that every test may use."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from receipt_ocr.detector.settings import NetworkSettings, Recipe, TrainingSettings
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.settings import FrameSettings

# albumentations asks the network for updates at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

PageMaker = Callable[[str], LabelledPage]

LONGEST_FIRST = (
    "test_end_to_end.py",
    "test_notebooks.py",
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


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """fsspec's file system in memory, empty; its local copies go to a cache of the test's own."""
    monkeypatch.setenv("RECEIPT_OCR_CACHE", str(tmp_path / "cache"))
    fs = fsspec.filesystem("memory")  # one object a process
    for step in range(2):
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]
        if not step:
            yield fs


@pytest.fixture(params=["local", "object store", "file system that moves"])
def any_address(
    request: pytest.FixtureRequest, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A folder that is not there yet, of each kind that files are written to in its own way."""
    if request.param == "local":
        return str(tmp_path / "work[1]space")
    if request.param != "object store":
        monkeypatch.setattr("receipt_ocr.storage.files.WHOLE_PUTS", frozenset())
        move = lambda source, target: memory.store.update({target: memory.store.pop(source)})  # noqa: E731
        monkeypatch.setattr(memory, "mv", move)
    return "memory://work[1]space"


@pytest.fixture
def recipe() -> Recipe:
    """A tiny network, pages of 64 and then 96 pixels, two epochs, one thread."""
    return Recipe(
        network=NetworkSettings(
            encoder="test_resnet", pretrained=False, inner_channels=16, output_channels=4
        ),
        frame=FrameSettings(sizes={0: 64, 1: 96}),
        training=TrainingSettings(
            epochs=2, batch_size=2, workers=0, threads=1, accelerator="cpu", optimizer="adamw"
        ),
    )


@pytest.fixture
def draw_page(tmp_path: Path) -> PageMaker:
    """Makes a page of 96 x 128 pixels with three dark bars, each a word."""

    def draw(name: str) -> LabelledPage:
        rng = np.random.default_rng(sum(name.encode()))
        pixels = np.full((128, 96, 3), 230, dtype=np.uint8)
        polygons = []
        for top in (12, 52, 92):
            left, right = int(rng.integers(6, 20)), int(rng.integers(70, 90))
            pixels[top : top + 20, left:right] = 20
            corners = [[left, top], [right, top], [right, top + 20], [left, top + 20]]
            polygons.append(np.array(corners, dtype=np.float64))
        file = tmp_path / "pages" / name
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(file)
        return LabelledPage(name, file, 96, 128, polygons, [False] * 3)

    return draw


@pytest.fixture
def training_pages(draw_page: PageMaker) -> list[LabelledPage]:
    """Five pages: two batches and a page left over."""
    return [draw_page(f"train_{number}.png") for number in range(5)]


@pytest.fixture
def validation_pages(draw_page: PageMaker) -> list[LabelledPage]:
    """Two validation pages."""
    return [draw_page(f"validation_{number}.png") for number in range(2)]
