"""``kedro summary`` as users call it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

Invoke = Callable[..., Result]


def write_scores(folder: Path, *rows: tuple[str, str, float | None]) -> Path:
    reports = folder / "08_reporting/lite0"
    reports.mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["member", "subset", "hmean"])
    table.to_csv(reports / "scores.csv", index=False)
    return reports


def test_a_summary_ends_with_the_ensembles_test_score(invoke: Invoke, demo_folder: Path) -> None:
    reports = write_scores(
        demo_folder,
        ("fold_0", "out_of_fold", 0.81),
        ("fold_0", "holdout", 0.82),
        ("fold_0", "test", 0.83),
        ("fold_1", "out_of_fold", 0.84),
        ("ensemble", "holdout", 0.86),
        ("ensemble", "test", 0.87342),
    )
    (reports / "submission.csv").write_text("filename,polygons\n")
    result = invoke("summary", "--env=demo")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["fold_0"] == ["0.8100", "0.8200", "0.8300"]
    assert rows["fold_1"] == ["0.8400", "-", "-"]
    [csv] = [line for line in lines if "submission.csv" in line]
    [report] = [line for line in lines if "report.md" in line]
    assert csv.endswith("08_reporting/lite0/submission.csv")
    assert report.endswith("(not there yet: kedro run --env=demo --pipeline=reporting)")
    assert lines[-2:] == ["ensemble holdout H-mean: 0.8600", "ensemble test H-mean: 0.8734"]


def test_a_summary_without_truth_says_unknown_and_leaves_mlflow_alone(
    invoke: Invoke, demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/untouched.db")
    write_scores(demo_folder, ("fold_0", "out_of_fold", 0.81), ("ensemble", "test", None))
    result = invoke("summary", "--env=demo")
    assert result.output.splitlines()[-2:] == [
        "ensemble holdout H-mean: unknown (no holdout)",
        "ensemble test H-mean: unknown (no test truth)",
    ]
    assert not (tmp_path / "untouched.db").exists()


def test_a_summary_before_any_run_says_what_to_run(invoke: Invoke, demo_folder: Path) -> None:
    result = invoke("summary", "--env=demo", "--params", "experiment=lite0")
    assert result.exit_code == 1
    assert f"no scores at {demo_folder}/08_reporting/lite0/scores.csv yet" in result.output
    assert "kedro run --env=demo --pipeline=ensemble" in result.output
