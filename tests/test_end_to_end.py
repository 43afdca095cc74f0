"""From drawn receipts to the report, at a size that takes seconds."""

import json
from collections.abc import Iterator
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
            # A detector starts from "hardly any text", 0.12: below it something is found.
            "postprocess": {"thresh": 0.1, "box_thresh": 0.1},
        }
    },
    "tuning": {"thresh": [0.1], "box_thresh": [0.1], "unclip_ratio": [0.1, 0.2], "workers": 1},
}


def run(pipeline: str, **more: Any) -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="demo", runtime_params={**SMALL, **more}) as session:
        session.run(pipeline_names=[pipeline])


@pytest.fixture
def workspaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str
) -> Iterator[Path]:
    """One folder after the other for a whole run each."""

    def enter() -> Iterator[Path]:
        for name in ("first", "second"):
            monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / name))
            yield tmp_path / name / "demo"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    return enter()


def test_the_whole_way_twice_leaves_the_same_checked_submission(workspaces: Iterator[Path]) -> None:
    results = []
    for workspace in workspaces:
        run("synthesis")
        run("__default__")
        folds = pd.read_parquet(workspace / "03_primary/folds.parquet")
        submission = (workspace / REPORTING / "submission.csv").read_text()
        scores = (workspace / REPORTING / "scores.csv").read_text()
        maps = workspace / "07_model_output/lite0/ensemble/test_maps"
        pixels = [file.read_bytes() for file in sorted(maps.glob("*.png"))]
        results.append((folds.to_dict(), submission, scores, pixels))
    assert results[1] == results[0]

    names = [f"synthetic_test_{n:04d}.jpg" for n in (1, 2, 3)]
    rows = pd.read_csv(workspace / REPORTING / "submission.csv")
    assert sorted(rows["filename"]) == names
    assert rows["polygons"].notna().any()
    images = json.loads((workspace / REPORTING / "submission.json").read_text())["images"]
    assert sorted(images) == names
    scores = pd.read_csv(workspace / REPORTING / "scores.csv")
    members = [f"fold_{fold}" for fold in range(5)]
    assert sorted(scores[scores["subset"] == "test"]["member"]) == sorted([*members, "ensemble"])
    assert sorted(scores[scores["subset"] == "out_of_fold"]["member"]) == members
    assert (workspace / REPORTING / "report.md").read_text().startswith("# ")

    # A trained fold looks at images that nobody has annotated.
    run("detection", fold=1, images=str(workspace / "01_raw/images/val"))
    found = json.loads((workspace / REPORTING / "detected_words.json").read_text())["images"]
    assert sorted(found) == ["synthetic_holdout_0001.jpg", "synthetic_holdout_0002.jpg"]
    assert (workspace / REPORTING / "detected_words.jpg").stat().st_size > 10_000

    # One detector from all labelled pages, for as long as the folds' best epochs say.
    run("final_fit")
    models = workspace / "06_models/lite0"
    assert json.loads((models / "final_epochs.json").read_text())["epochs"] == 1
    assert (models / "final.ckpt").is_file()
    maps = workspace / "07_model_output/lite0/final/test_maps"
    assert len(list(maps.glob("*.png"))) == len(names)
