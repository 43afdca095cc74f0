"""``kedro check`` as users call it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from kedro.pipeline import Node, Pipeline

from receipt_ocr import pipeline_registry
from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.pipelines import check, ingestion
from receipt_ocr.pipelines.check import nodes
from receipt_ocr.synthesis.dataset import draw_receipts
from receipt_ocr.synthesis.settings import SynthesisSettings

Invoke = Callable[..., Result]


def replace_check(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    monkeypatch.setattr(pipeline_registry, "register_pipelines", lambda: {"check": pipeline})


def test_a_check_lists_findings_and_writes_a_picture(
    invoke: Invoke, demo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "OVERFIT_SECONDS", 1.0)  # instead of a minute
    replace_check(monkeypatch, ingestion.create_pipeline() + check.create_pipeline())
    pages = draw_receipts(SynthesisSettings(train=2, holdout=1, test=1))
    ReceiptFolderDataset(filepath=str(demo_folder / "01_raw")).save(pages)
    params = "experiments.recipe.network.pretrained=false"
    result = invoke("check", "--env=demo", "--params", params)
    output = result.output
    for subject in ("EXIF", "text height", "round trip", "one page by heart"):
        assert subject in output, output
    assert "2 train, 1 holdout, 1 test" in output
    has_problem = "problems: 0" not in output
    assert result.exit_code == int(has_problem)
    folder = demo_folder / "08_reporting/check"
    assert f"picture:  {folder}/round_trip.png" in output
    assert (folder / "round_trip.png").stat().st_size > 1000
    assert (folder / "findings.json").is_file()


def test_a_problem_ends_a_check_with_exit_code_1(
    invoke: Invoke, demo_folder: Path, monkeypatch: pytest.MonkeyPatch
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
