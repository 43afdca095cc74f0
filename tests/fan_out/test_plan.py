"""What is refused before anything starts, in the project itself."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from receipt_ocr.cli import cli
from receipt_ocr.fan_out.plan import plan_folds

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path))
    bootstrap_project(PROJECT)
    return tmp_path / "sroie"


def invoke(*arguments: str) -> Result:
    project = SimpleNamespace(project_path=PROJECT)
    return CliRunner().invoke(cli, ["train-folds", "--env=sroie", *arguments], obj=project)


def test_every_fold_has_its_own_folder_and_log(workspace: Path) -> None:
    planned = plan_folds(PROJECT, "sroie", {"resume": False}, ["lite0", "convnext_tiny"], [0, 3])
    names = ["lite0 fold 0", "lite0 fold 3", "convnext_tiny fold 0", "convnext_tiny fold 3"]
    assert [fold.name for fold in planned] == names
    last = planned[-1]
    assert last.folder.local == workspace / "06_models/convnext_tiny/fold_3"
    assert last.log == workspace / "06_models/convnext_tiny/fold_3.log"
    assert last.job.params == {"experiment": "convnext_tiny", "fold": 3, "resume": False}
    assert plan_folds(PROJECT, "sroie", {}, [], [1])[0].experiment == "lite0"
    chosen = {"experiment": "convnext_tiny"}
    assert plan_folds(PROJECT, "sroie", chosen, [], [1])[0].experiment == "convnext_tiny"


def test_logs_of_remote_results_are_kept_beside_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", "memory://bucket")
    [fold] = plan_folds(PROJECT, "sroie", {}, ["lite0"], [2])
    assert str(fold.folder) == "memory://bucket/sroie/06_models/lite0/fold_2"
    assert fold.log == PROJECT / "logs/sroie/lite0/fold_2.log"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiments=unheard_of"], "unknown experiment 'unheard_of'; known are"),
        (["--folds=7"], "folds go from 0 to 4"),
        (["--params", "fold=1"], "use --folds"),
        (["--experiments=lite0", "--params", "experiment=lite0"], "give one of them"),
        (["--gpus-per-fold=1"], "goes with --devices or --ray"),
        (["--devices=0", "--ray"], "Ray chooses them"),
        (["--devices=0", "--gpus-per-fold=0.5"], "whole number"),
        (["--params", "experiments.recipe.training.epochs=0"], "epochs"),
    ],
)
def test_wrong_options_are_one_clear_error(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert isinstance(result.exception, SystemExit)
