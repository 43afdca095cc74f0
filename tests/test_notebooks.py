"""The notebooks run over the results of a small demo, show what they promise, and only read."""

import base64
import io
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
import pytest
from jupyter_client.manager import KernelManager
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from kedro.runner import SequentialRunner
from nbclient import NotebookClient
from PIL import Image

from receipt_ocr.decoding.maps import LazyMaps, ProbabilityMap
from receipt_ocr.geometry.polygons import transform_polygon
from receipt_ocr.receipts.labelled_pages import LabelledPage, load_pages
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.receipts.targets import render_targets

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
SHOWN = {"01_data": (5, 4), "02_errors": (4, 4), "03_thresholds": (5, 3)}
"""Notebook -> how many figures and tables it has at least."""

SMALL = {
    "synthesis": {"train": 10, "holdout": 2, "test": 2},
    "tuning": {
        "thresh": [0.2, 0.3, 0.5],
        "box_thresh": [0.2, 0.5],
        "unclip_ratio": [1.6, 2.0],
        "min_size": [3],
        "workers": 1,
    },
}
FRAME = 320


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, empty_tables: Path) -> Iterator[Path]:
    """A demo whose maps were drawn from the truth, with errors of every kind, instead of learnt."""
    folder = tmp_path_factory.mktemp("notebooks")
    database = folder / "mlflow.db"
    database.write_bytes(empty_tables.read_bytes())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        environment.setenv("RECEIPT_OCR_WORKSPACE", str(folder / "workspace"))
        environment.setenv("IPYTHONDIR", str(folder / "ipython"))
        environment.setenv("JUPYTER_RUNTIME_DIR", str(folder / "jupyter"))
        environment.delenv("KEDRO_ENV", raising=False)
        bootstrap_project(PROJECT)
        with KedroSession.create(PROJECT, env="demo", runtime_params=SMALL) as session:
            catalog = session.load_context().catalog
            SequentialRunner().run(pipelines["synthesis"], catalog)
            spoil_a_word(catalog.load("raw_receipts") / "jsons/train.json")
            SequentialRunner().run(pipelines["ingestion"] + pipelines["splitting"], catalog)
            save_maps(catalog)
            scored = pipelines["ensemble"].to_outputs("chosen_postprocess", "page_scores", "scores")
            for pipeline in (pipelines["tuning"], scored):
                SequentialRunner().run(pipeline, catalog)
        yield folder


def spoil_a_word(file: Path) -> None:
    """Leaves two points of a word, so that something is rejected."""
    annotations = json.loads(file.read_text(encoding="utf-8"))
    word = next(iter(next(iter(annotations["images"].values()))["words"].values()))
    word["points"] = word["points"][:2]
    file.write_text(json.dumps(annotations), encoding="utf-8")


def save_maps(catalog: CatalogProtocol) -> None:
    """Stores maps of all folds, as training would."""
    pages, words, folds = (catalog.load(name) for name in ("pages", "words", "folds"))
    raw = catalog.load("raw_receipts")
    for fold in range(FOLD_COUNT):
        own = folds.loc[folds["fold"] == fold, "page"].tolist()
        for kind, subset, names in (
            ("out_of_fold", "train", own),
            ("holdout", "holdout", None),
            ("test", "test", None),
        ):
            labelled = load_pages(pages[pages["subset"] == subset], words, raw, names)
            maps = {page.name: partial(draw_map, page, fold) for page in labelled}
            catalog.save(f"fold_{fold}_{kind}_maps", LazyMaps(maps, f"drawn {fold}"))


def draw_map(page: LabelledPage, seed: int) -> ProbabilityMap:
    """A page's kernels, some of them gone or joined to a neighbour, and one where no word is."""
    rng = np.random.default_rng((seed, len(page.polygons)))
    frame = fit_frame(page.width, page.height, FRAME, "page")
    seen = [polygon for polygon in page.polygons if rng.random() > 0.1]
    framed = [transform_polygon(polygon, frame.page_to_map) for polygon in seen]
    targets = render_targets(framed, frame.height, frame.width)
    kernels = cv2.dilate(targets.shrink_map, np.ones((1, int(rng.choice([1, 1, 9])))))
    kernels[2:8, 2:40] = 0.6
    blurred = cv2.GaussianBlur(kernels, (0, 0), 1.0).clip(0.0, 1.0)
    return ProbabilityMap.from_probability(blurred, frame.map_to_page, page.width, page.height)


@pytest.fixture(scope="module")
def execute(workspace: Path) -> Iterator[Callable[[Path], Any]]:
    """Runs a notebook; all share a kernel, emptied in between, for its start takes seconds."""
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable

    def run(file: Path) -> Any:
        notebook = nbformat.read(file, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        folder = {"metadata": {"path": str(file.parent)}}
        client = NotebookClient(notebook, km=manager, timeout=300, resources=folder)
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    yield run
    manager.shutdown_kernel(now=True)


def list_files(folder: Path) -> dict[Path, int]:
    """Every file and folder, and when it was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_shows_figures_and_tables_and_only_reads(
    file: Path, workspace: Path, execute: Callable[[Path], Any]
) -> None:
    before = list_files(workspace / "workspace")
    outputs = [output for cell in execute(file).cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    figures = [data["image/png"] for data in shown if "image/png" in data]
    tables = [data["text/html"] for data in shown if "<table" in data.get("text/html", "")]
    assert len(figures) >= SHOWN[file.stem][0]
    assert len(tables) >= SHOWN[file.stem][1]
    for figure in figures:
        with Image.open(io.BytesIO(base64.b64decode(figure))) as picture:
            assert len(picture.convert("L").getcolors()) > 10
    assert list_files(workspace / "workspace") == before
    with sqlite3.connect(workspace / "mlflow.db") as database:
        assert database.execute("SELECT COUNT(*) FROM runs").fetchone() == (0,)


def test_there_are_the_notebooks_that_the_documents_name() -> None:
    assert [file.stem for file in NOTEBOOKS] == list(SHOWN)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_stored_without_outputs(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
