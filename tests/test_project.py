"""The project as Kedro sees it: wiring, settings, start-up."""

import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from kedro.config import AbstractConfigLoader
from kedro.framework.project import configure_project
from kedro.validation.exceptions import ParameterValidationError
from kedro.validation.parameter_validator import ParameterValidator

from receipt_ocr.datasets.project import open_config
from receipt_ocr.pipeline_registry import register_pipelines
from receipt_ocr.receipts.settings import FOLD_COUNT

PROJECT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ["base", "demo", "sroie"]
STAGES = ["ingestion", "splitting", "train", "tuning", "ensemble", "reporting"]
RAW_DATASETS = {"raw_receipts", "experiment_store", "leaderboard_records"} | {
    f"fold_{fold}.work_folder" for fold in range(FOLD_COUNT)
}


def read_config(environment: str, **runtime_params: Any) -> AbstractConfigLoader:
    configure_project("receipt_ocr")
    return open_config(PROJECT, environment, runtime_params)


def validate(parameters: dict[str, Any]) -> dict[str, Any]:
    return ParameterValidator(register_pipelines()).validate_raw_params(parameters)


def test_data_flows_forward_through_the_stages() -> None:
    stages = register_pipelines()
    available = set(RAW_DATASETS)
    for name in STAGES:
        needed = {i for i in stages[name].inputs() if not i.startswith("params:")}
        assert needed <= available, f"{name} reads {needed - available} before it exists"
        available |= stages[name].all_outputs()


def test_the_default_pipeline_is_all_stages() -> None:
    stages = register_pipelines()
    nodes = {node for name in STAGES for node in stages[name].nodes}
    assert set(stages["__default__"].nodes) == nodes


def test_every_node_has_hints_that_kedro_can_read() -> None:
    # Kedro checks parameters by these hints and skips a node whose hints it cannot resolve.
    for pipeline in register_pipelines().values():
        for node in pipeline.nodes:
            hints = typing.get_type_hints(node.func)
            code = node.func.__code__
            assert hints.keys() >= {*code.co_varnames[: code.co_argcount], "return"} - {"kwargs"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_has_a_valid_recipe_that_a_run_may_change(environment: str) -> None:
    changes = {"training": {"epochs": 3}, "frame": {"sizes": [{"epoch": 0, "size": 320}]}}
    config = read_config(environment, experiments={"recipe": changes}, fold=2)["parameters"]
    changed = validate(config)["experiments"]
    assert (changed.recipe.training.epochs, changed.recipe.frame.final_size) == (3, 320)
    plain = validate(read_config(environment)["parameters"])["experiments"]
    assert plain.chosen.network.encoder
    assert changed.variants == plain.variants
    assert changed.recipe.network == plain.recipe.network


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_dataset_of_every_pipeline_is_in_the_catalog(environment: str) -> None:
    config = read_config(environment)
    entries = set(config["catalog"])
    passing = {"split", "page_hashes"}  # passed on in memory
    for pipeline in register_pipelines().values():
        for name in pipeline.datasets():
            if name.startswith("params:") or name.split(".")[-1] in passing:
                continue
            pattern = re.sub(r"^fold_\d", "fold_{k}", name)
            is_between_nodes = name in pipeline.all_outputs() and name not in pipeline.outputs()
            assert pattern in entries or is_between_nodes, f"{name} is not in the catalog"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ingestion": {"clip_margin": -1}}, "ingestion.*clip_margin"),
        ({"splitting": {"seeds": 1}}, "splitting.*seeds"),
        ({"tuning": {"thresh": [1.5]}}, r"tuning.*1\.5"),
        ({"ensemble": {"members": [7]}}, "ensemble.*7"),
        ({"synthesis": {"words_low": "many"}}, "synthesis.*many"),
        ({"experiments": {"recipe": {"training": {"epochs": "abc"}}}}, r"training\.epochs.*abc"),
        ({"experiment": "resnet_900"}, "resnet_900.*convnext_tiny"),  # the known ones are listed
    ],
)
def test_a_wrong_value_is_named_before_any_node_runs(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterValidationError, match=f"(?s){named}"):
        validate(read_config("base", **changes)["parameters"])


def test_an_experiment_has_files_of_its_own() -> None:
    catalog = read_config("base", experiment="efficientnet_b3", fold=2)["catalog"]
    for entry, fold in {"checkpoint": "fold_2", "fold_{k}_checkpoint": "fold_{k}"}.items():
        assert catalog[entry]["filepath"].endswith(f"efficientnet_b3/{fold}.ckpt")


def test_the_two_names_of_a_fold_lead_to_the_same_files() -> None:
    catalog = read_config("base", fold=3)["catalog"]
    for name in ("work_folder", "checkpoint", "history", "out_of_fold_maps", "test_maps"):
        mark = "." if name == "work_folder" else "_"
        in_all_folds = catalog[f"fold_{{k}}{mark}{name}"]["filepath"].replace("{k}", "3")
        assert catalog[name]["filepath"] == in_all_folds


def test_a_training_that_starts_over_removes_all_that_its_fold_led_to() -> None:
    catalog = read_config("base", fold=3)["catalog"]
    for prefix, entry in {"": "work_folder", "fold_{k}_": "fold_{{k}}.work_folder"}.items():
        results = catalog[entry.format()]["results"].values()
        removed = [result["filepath"] for result in results if "pattern" not in result]
        for name in ("checkpoint", "history", "out_of_fold_maps", "holdout_maps", "test_maps"):
            path = catalog[f"{prefix}{name}"]["filepath"]
            assert any(path == one or path.startswith(f"{one}/") for one in removed), path


def test_only_the_catalog_says_where_files_lie() -> None:
    layers = re.compile(r"\b0[2-8]_[a-z]+")
    for file in (PROJECT / "src").rglob("*.py"):
        code = re.sub(r'"""(.|\n)*?"""', "", file.read_text(encoding="utf-8"))  # less examples
        assert not layers.search(code), file


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = """
import sys
from kedro.framework.project import configure_project, pipelines, settings
configure_project('receipt_ocr')
dict(pipelines); settings.HOOKS; import receipt_ocr.cli
print([m for m in ('torch', 'lightning', 'cv2', 'timm') if m in sys.modules])"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert ran.stdout.strip() == "[]"
