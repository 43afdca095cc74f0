"""From drawn receipts to the report, at a size that takes seconds."""

import json
from collections.abc import Callable
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


@pytest.fixture
def run(no_mlflow_run_left_open: Callable[[], None]) -> Callable[..., None]:
    """Runs pipelines in a session and an MLflow run of their own."""

    def start(*pipelines: str, **more: Any) -> None:
        bootstrap_project(PROJECT)
        with KedroSession.create(PROJECT, env="demo", runtime_params={**SMALL, **more}) as session:
            session.run(pipeline_names=list(pipelines))
        no_mlflow_run_left_open()

    return start


@pytest.fixture
def enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str
) -> Callable[[str], Path]:
    """Makes a workspace the current one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)

    def choose(name: str) -> Path:
        monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / name))
        return tmp_path / name / "demo"

    return choose


def read_fold(workspace: Path) -> tuple[Any, ...]:
    """What a split and a training have led to."""
    folds = pd.read_parquet(workspace / "03_primary/folds.parquet")
    history = pd.read_csv(workspace / "06_models/lite0/fold_1_history.csv")
    maps = sorted((workspace / "07_model_output/lite0/fold_1").rglob("*.png"))
    learnt = history.drop(columns="seconds").to_dict()
    return folds.to_dict(), learnt, [file.read_bytes() for file in maps]


def read_results(workspace: Path) -> list[str]:
    folder = workspace / REPORTING
    return [(folder / name).read_text() for name in ("submission.csv", "scores.csv")]


def check_mlflow(uri: str, submission: str) -> None:
    """Every run lies below its experiment's, and folds show what there is to compare."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (top,) = [run for run in runs if run.data.tags.get("role") == "experiment"]
    below = {run.data.tags["mlflow.parentRunId"] for run in runs if run is not top}
    assert below == {top.info.run_id}
    (whole,) = [run for run in runs if run.data.tags["role"] == "whole way"]
    told = ("data.pages", "data.words", "environment.python", "mlflow.source.git.commit")
    folds = [run for run in runs if run.data.tags["role"] == "fold"]
    assert sorted(run.data.tags["fold"] for run in folds) == list("01234")
    for run in folds:
        values = run.data.metrics
        assert values["leaderboard_hmean"] == pytest.approx(0.5)
        assert values["gap"] == pytest.approx(0.5 - values["out_of_fold_hmean"])
        assert values["holdout_gap"] == pytest.approx(0.5 - values["holdout_hmean"])
        assert values["parameters"] > 1e6
        assert {key: run.data.tags[key] for key in told} == {k: whole.data.tags[k] for k in told}
        assert run.data.params["recipe.frame.crop"] == "[96, 96]"
        assert run.data.tags["checkpoint"].endswith(f"fold_{run.data.tags['fold']}.ckpt")
    assert len(whole.data.tags["data.words"]) == 12
    assert len(whole.data.tags["mlflow.source.git.commit"]) == 40
    assert whole.data.params["recipe.frame.crop"] == "[96, 96]"
    assert "experiments" not in whole.data.params | whole.data.tags  # no block as one long text
    copied = {file.path for file in client.list_artifacts(whole.info.run_id)}
    assert {"report.html", "history.png", "submission.csv"} <= copied
    assert submission in (Path(whole.info.artifact_uri) / "report.md").read_text()


def test_the_whole_way_leaves_a_checked_submission_and_the_same_again(
    enter: Callable[[str], Path], run: Callable[..., None], tracking_uri: str
) -> None:
    workspace = enter("first")
    run("synthesis")
    run("__default__")
    before = read_results(workspace)

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
    report = (workspace / REPORTING / "report.md").read_text()
    assert report.startswith("# lite0 on demo")
    assert (workspace / REPORTING / "report.html").read_text().count("data:image/") == 6

    # A leaderboard's score reaches every fold that voted, and the report.
    (record,) = (workspace / "08_reporting/submissions").glob("*.json")
    assert record.stem in report
    copy = workspace / f"08_reporting/submissions/submission_{record.stem}.csv"
    assert copy.read_bytes() == (workspace / REPORTING / "submission.csv").read_bytes()
    run("leaderboard", submission=str(copy), hmean=50, precision=60, recall=70, percent=True)
    run("score_submission", submission=record.stem)
    told = json.loads(
        (workspace / f"08_reporting/leaderboard/{record.stem}_truth.json").read_text()
    )
    own = scores[(scores["member"] == "ensemble") & (scores["subset"] == "test")]
    assert told["hmean"] == pytest.approx(own["hmean"].iloc[0], abs=1e-9)
    run("ensemble", "reporting")
    assert read_results(workspace) == before
    assert "| 0.5000 |" in (workspace / REPORTING / "report.md").read_text()  # leaderboard H
    check_mlflow(tracking_uri, record.stem)
    for place, entry in (("", "pages"), ("lite0/", "fold_1_checkpoint"), ("lite0/", "scores")):
        assert (workspace / f"08_reporting/{place}runs/{entry}.json").is_file()

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
    assert (workspace / REPORTING / "final_submission.csv").is_file()

    # A fold that looks at each page three times has maps and results of its own beside the others.
    run("predict_fold", fold=1, tta="flips")
    run("ensemble", members="1+lite0@flips/1")
    scores = pd.read_csv(workspace / REPORTING / "scores.csv")
    assert set(scores["member"]) == {"fold_1", "lite0@flips/fold_1", "ensemble"}

    # Elsewhere the same data, split and fold come out the same.
    first, workspace = workspace, enter("second")
    run("synthesis", "ingestion", "splitting", "train_fold", fold=1)
    assert read_fold(workspace) == read_fold(first)
