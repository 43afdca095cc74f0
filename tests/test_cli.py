"""All commands of the project: what their help says, and what they load."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from receipt_ocr.cli import cli

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("check", ["Example: kedro check --env=", "rewrites the tables of pages, words and"]),
        ("compare", ["kedro compare --env=sroie lite0@flips lite0 --test-pages", "EXPERIMENT@TTA"]),
        ("experiments", ["experiments.variants", "kedro experiments convnext_small --env=base"]),
        ("summary", ["Example: kedro summary --env="]),
        ("train-folds", ["Example: kedro train-folds --env=sroie", "same paths"]),
    ],
)
def test_help_explains_and_names_an_example(command: str, parts: list[str]) -> None:
    output = " ".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
    for part in [*parts, "--env", "--params KEY=VALUE,..."]:
        assert part in output


def test_the_commands_load_no_heavy_library() -> None:
    heavy = ("torch", "torchvision", "lightning", "timm", "cv2", "pandas", "mlflow", "ray")
    code = f"import sys, receipt_ocr.cli; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    assert shown.stdout.strip() == "[]"
