"""The project's own commands, as users call them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node, Pipeline

from receipt_ocr import pipeline_registry
from receipt_ocr.cli import cli
from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.pipelines import check, ingestion
from receipt_ocr.pipelines.check import nodes
from receipt_ocr.synthesis.dataset import draw_receipts
from receipt_ocr.synthesis.settings import SynthesisSettings

PROJECT = Path(__file__).resolve().parents[1]

Invoke = Callable[..., Result]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str) -> Path:
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    return tmp_path / "work" / "demo"


@pytest.fixture
def invoke(workspace: Path) -> Invoke:
    metadata = bootstrap_project(PROJECT)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(
            cli, arguments, obj=SimpleNamespace(project_path=metadata.project_path)
        )

    return call


def write_scores(workspace: Path, rows: list[tuple[str, str, float | None]]) -> None:
    table = pd.DataFrame(rows, columns=["member", "subset", "hmean"])
    folder = workspace / "08_reporting/lite0"
    folder.mkdir(parents=True)
    table.assign(pages=1, precision=0.5, recall=0.5, corpus_hmean=0.5).to_csv(
        folder / "scores.csv", index=False
    )


def test_a_summary_ends_with_the_ensembles_test_score(invoke: Invoke, workspace: Path) -> None:
    write_scores(
        workspace,
        [
            ("fold_0", "out_of_fold", 0.81),
            ("fold_0", "holdout", 0.82),
            ("fold_0", "test", 0.83),
            ("fold_1", "out_of_fold", 0.84),
            ("ensemble", "holdout", 0.86),
            ("ensemble", "test", 0.87342),
        ],
    )
    (workspace / "08_reporting/lite0/submission.csv").write_text("filename,polygons\n")
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


def test_a_summary_without_truth_says_unknown(invoke: Invoke, workspace: Path) -> None:
    write_scores(workspace, [("fold_0", "out_of_fold", 0.81), ("ensemble", "test", None)])
    result = invoke("summary", "--env=demo")
    assert result.output.splitlines()[-2:] == [
        "ensemble holdout H-mean: unknown (no holdout)",
        "ensemble test H-mean: unknown (no test truth)",
    ]


def test_a_summary_leaves_mlflow_alone(
    invoke: Invoke, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/untouched.db")
    write_scores(workspace, [("ensemble", "test", 0.5)])
    assert invoke("summary", "--env=demo").exit_code == 0
    assert not (tmp_path / "untouched.db").exists()


def test_a_summary_before_any_run_says_what_to_run(invoke: Invoke) -> None:
    result = invoke("summary", "--env=demo", "--params", "experiment=lite0")
    assert result.exit_code == 1
    assert "no scores at" in result.output
    assert "kedro run --env=demo --pipeline=ensemble" in result.output


@pytest.fixture
def light_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of overfitting instead of a minute."""
    monkeypatch.setattr(nodes, "OVERFIT_SECONDS", 1.0)
    replace_check(monkeypatch, ingestion.create_pipeline() + check.create_pipeline())


def replace_check(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    monkeypatch.setattr(pipeline_registry, "register_pipelines", lambda: {"check": pipeline})


def draw(workspace: Path) -> None:
    pages = draw_receipts(SynthesisSettings(train=2, holdout=1, test=1))
    ReceiptFolderDataset(filepath=str(workspace / "01_raw")).save(pages)


def test_a_check_lists_findings_and_writes_a_picture(
    invoke: Invoke, workspace: Path, light_check: None
) -> None:
    draw(workspace)
    result = invoke(
        "check", "--env=demo", "--params", "experiments.recipe.network.pretrained=false"
    )
    output = result.output
    for subject in ("EXIF", "text height", "round trip", "one page by heart"):
        assert subject in output, output
    assert "2 train, 1 holdout, 1 test" in output
    has_problem = "problems: 0" not in output
    assert result.exit_code == int(has_problem)
    folder = workspace / "08_reporting/check"
    assert f"picture:  {folder}/round_trip.png" in output
    assert (folder / "round_trip.png").stat().st_size > 1000
    assert (folder / "findings.json").is_file()


def test_a_problem_ends_a_check_with_exit_code_1(
    invoke: Invoke, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find() -> list[dict[str, str]]:
        return [
            {"level": "problem", "subject": "axes", "message": "swapped", "advice": "swap back"},
            {"level": "ok", "subject": "EXIF", "message": "fine", "advice": ""},
        ]

    only = Pipeline([Node(find, None, "check_findings", name="find")])
    replace_check(monkeypatch, only)
    result = invoke("check", "--env=demo")
    assert result.exit_code == 1
    assert "problem  axes: swapped\n         -> swap back\nok       EXIF: fine" in result.output
    assert "problems: 1, warnings: 0, fine: 1" in result.output


def test_a_check_without_receipts_is_one_clear_error(
    invoke: Invoke, workspace: Path, light_check: None
) -> None:
    result = invoke("check", "--env=demo")
    assert result.exit_code == 1
    assert "--pipeline=synthesis" in result.output
    assert isinstance(result.exception, SystemExit)
    assert not (workspace / "02_intermediate").exists()


@pytest.mark.parametrize("command", ["check", "summary"])
def test_help_names_an_example(command: str) -> None:
    output = CliRunner().invoke(cli, [command, "--help"]).output
    assert f"Example: kedro {command} --env=" in output
    assert "--params" in output


def test_help_says_what_a_check_rewrites() -> None:
    output = " ".join(CliRunner().invoke(cli, ["check", "--help"]).output.split())
    assert "rewrites the tables of pages, words and rejected records" in output


def test_the_commands_load_no_heavy_library() -> None:
    code = (
        "import sys, receipt_ocr.cli; "
        "print([m for m in ('torch', 'lightning', 'timm', 'cv2', 'pandas', 'mlflow') "
        "if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert shown.stdout.strip() == "[]"
