"""The commands of this project, called as users call them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from receipt_ocr.cli import cli

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Calls `kedro` with the arguments that it is given."""
    bootstrap_project(PROJECT)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, obj=SimpleNamespace(project_path=PROJECT))

    return call


@pytest.fixture
def demo_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_uri: str) -> Path:
    """Where the demo's results lie."""
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path / "work"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    return tmp_path / "work" / "demo"
