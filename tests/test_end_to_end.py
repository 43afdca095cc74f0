"""From drawn receipts to the report, at a size that takes seconds."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

PROJECT = Path(__file__).resolve().parents[1]
REPORTING = "08_reporting/lite0"

SMALL = {
    "synthesis": {"train": 10, "holdout": 2, "test": 3},
    "experiments": {
        "recipe": {
            "network": {"pretrained": False, "inner_channels": 16, "output_channels": 8},
            "frame": {"sizes": [{"epoch": 0, "size": 224}], "crop": [96, 96]},
            "training": {"epochs": 1, "threads": 1},
            # Untrained maps are grey: a threshold in the middle finds something to score.
            "postprocess": {"thresh": 0.5, "box_thresh": 0.5, "max_candidates": 20},
        }
    },
    "tuning": {"thresh": [0.5], "box_thresh": [0.5], "unclip_ratio": [1.5, 2.0], "workers": 1},
}


def run(pipeline: str, **more: Any) -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="demo", runtime_params={**SMALL, **more}) as session:
        session.run(pipeline_names=[pipeline])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path / "work"


def test_the_whole_way_leaves_a_checked_submission_and_a_report(workspace: Path) -> None:
    run("synthesis")
    run("__default__")

    submission = pd.read_csv(workspace / REPORTING / "submission.csv")
    assert sorted(submission["filename"]) == [f"synthetic_test_{n:04d}.jpg" for n in (1, 2, 3)]
    images = json.loads((workspace / REPORTING / "submission.json").read_text())["images"]
    assert set(images) == set(submission["filename"])
    scores = pd.read_csv(workspace / REPORTING / "scores.csv")
    folds = [f"fold_{fold}" for fold in range(5)]
    on_test = scores[scores["subset"] == "test"]
    assert sorted(on_test["member"]) == sorted([*folds, "ensemble"])
    assert sorted(scores[scores["subset"] == "out_of_fold"]["member"]) == folds
    assert (workspace / REPORTING / "report.md").read_text().startswith("# ")
