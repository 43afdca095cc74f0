"""A Kedro project whose folds take no time to train, and the command that trains them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

PROJECT = Path(__file__).resolve().parents[2]

FILES = {
    "pyproject.toml": """
[tool.kedro]
package_name = "small_folds"
project_name = "small_folds"
kedro_init_version = "1.7.0"
source_dir = "src"
""",
    ".telemetry": "consent: false",
    "src/small_folds/__init__.py": "",
    "src/small_folds/cli.py": "from receipt_ocr.cli import cli\n",
    "src/small_folds/settings.py": "from receipt_ocr.settings import CONFIG_LOADER_ARGS, HOOKS\n",
    "src/small_folds/pipeline_registry.py": """
from kedro.pipeline import Node, Pipeline
from small_folds.nodes import train

def register_pipelines():
    inputs = ["params:experiments", "params:fold", "work_folder"]
    return {"train_fold": Pipeline([Node(train, inputs, "score", name="train")])}
""",
    # Does what the file of its fold says, each time the next word of it.
    "src/small_folds/nodes.py": """
import json, os, signal, subprocess, time
from pathlib import Path
from receipt_ocr.detector.settings import Experiments

def train(experiments: Experiments, fold: int, work_folder) -> dict:
    folder, training = Path(work_folder), experiments.chosen.training
    folder.mkdir(parents=True, exist_ok=True)
    if not training.resume or not (folder / "settings.json").exists():
        (folder / "finished.json").unlink(missing_ok=True)
        (folder / "partial").write_text("{}")
        (folder / "partial").replace(folder / "settings.json")
    with (folder / "tries").open("a") as tries:
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        print(training.resume, training.accelerator, devices, file=tries)
    todo = Path("todo") / experiments.selected / str(fold)
    words = todo.read_text().split() if todo.exists() else []
    todo.exists() and todo.write_text(" ".join(words[1:]))
    if words[:1] == ["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if words[:1] == ["raise"]:
        raise ValueError("no receipts\\nleft")
    if words[:1] == ["hang"]:
        child = subprocess.Popen(["sleep", "600"])
        (folder / "pids.partial").write_text(f"{os.getpid()} {child.pid}")
        (folder / "pids.partial").replace(folder / "pids")
        time.sleep(600)
    if not (folder / "finished.json").exists():
        result = json.dumps({"best_hmean": 0.5 + fold / 100, "best_epoch": fold})
        (folder / "finished.json").write_text(result)
    return {"fold": fold}
""",
    "conf/base/catalog.yml": """
work_folder:
  type: receipt_ocr.datasets.checkpoints.WorkFolderDataset
  filepath: data/${runtime_params:experiment,a}/fold_${runtime_params:fold,0}
""",
    "conf/base/parameters.yml": """
fold: ${runtime_params:fold,0}
experiments:
  selected: ${runtime_params:experiment,a}
  recipe: {training: {resume: "${runtime_params:resume,true}"}}
  variants: {a: {}, b: {}}
""",
    "conf/local/.keep": "",
}


class SmallProject:
    """The project, and how to train its folds."""

    def __init__(self, folder: Path, tracking: str) -> None:
        self.folder = folder
        for name, text in FILES.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for name in ("conf/base/mlflow.yml", "conf/logging.yml"):
            shutil.copy(PROJECT / name, folder / name)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CUDA_")},
            "MLFLOW_TRACKING_URI": tracking,
            "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(folder / "src")]),
            "OMP_NUM_THREADS": "1",
            "RAY_memory_monitor_refresh_ms": "0",  # other programs' memory is not its business
        }

    def tell(self, experiment: str, fold: int, *words: str) -> None:
        """What the tries of a fold will do, one after the other."""
        file = self.folder / "todo" / experiment / str(fold)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join(words))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`kedro train-folds` with arguments."""
        return subprocess.Popen(
            [sys.executable, "-m", "kedro", "train-folds", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def tries(self, experiment: str, fold: int) -> list[str]:
        """Whether each try was told to resume, and on which device."""
        return (self.folder / f"data/{experiment}/fold_{fold}/tries").read_text().splitlines()

    def runs(self) -> dict[str, dict[str, Any]]:
        """Name -> status, tags, parameters and parent's name of all MLflow runs."""
        client = MlflowClient(self.environment["MLFLOW_TRACKING_URI"])
        experiment = client.get_experiment_by_name("receipt_ocr")
        assert experiment is not None
        found = client.search_runs([experiment.experiment_id])  # the newest first
        names = {run.info.run_id: str(run.info.run_name) for run in found}
        return {
            str(run.info.run_name): {
                "status": run.info.status,
                "tags": run.data.tags,
                "params": run.data.params,
                "parent": names.get(run.data.tags.get("mlflow.parentRunId", "")),
            }
            for run in found
        }


@pytest.fixture
def project(tmp_path: Path, tracking_uri: str) -> SmallProject:
    return SmallProject(tmp_path / "project", tracking_uri)
