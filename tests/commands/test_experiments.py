"""``kedro experiments`` as users call it."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from receipt_ocr.detector.settings import Recipe

PROJECT = Path(__file__).resolve().parents[2]

Call = Callable[..., Result]


@pytest.fixture
def experiments(invoke: Call) -> Call:
    return partial(invoke, "experiments")


def entry(output: str, name: str) -> str:
    """An experiment's lines as one, with single spaces."""
    found = re.search(rf"^[* ] {re.escape(name)} .*(\n {{5,}}.*)*", output, flags=re.MULTILINE)
    assert found, f"{name} is not listed in {output}"
    return " ".join(found.group().split())


def test_every_experiment_is_listed_with_what_differs_from_the_recipe(experiments: Call) -> None:
    result = experiments("--env=base")
    assert result.exit_code == 0, result.output
    file = PROJECT / "conf/base/parameters_experiments.yml"
    for name in yaml.safe_load(file.read_text(encoding="utf-8"))["experiments"]["variants"]:
        assert entry(result.output, name)
    assert entry(result.output, "convnext_tiny") == "* convnext_tiny the recipe itself"
    assert entry(result.output, "convnext_small") == (
        "convnext_small network.encoder=convnext_small training.learning_rate=0.0004 "
        "training.weight_decay=0.00012"
    )
    assert "frame.sizes={0: 640, 3: 800, 6: 960}" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_differences_are_from_the_recipe_of_the_environment(experiments: Call) -> None:
    result = experiments("--env=sroie", "--params", "experiment=efficientnet_b3")
    assert entry(result.output, "efficientnet_b3") == (
        "* efficientnet_b3 network.encoder=efficientnet_b3 network.encoder_weights=null"
    )
    assert entry(result.output, "lite0") == "lite0 the recipe itself"
    assert result.output.count("*") == 1


def test_a_name_shows_its_whole_recipe(experiments: Call) -> None:
    result = experiments("convnext_tiny_short", "--env=base")
    recipe = Recipe.model_validate(yaml.safe_load(result.output))
    assert (recipe.training.epochs, recipe.training.patience) == (15, 3)
    assert recipe.frame == Recipe().frame
    same = experiments("convnext_tiny_short", "--env=base", "--json")
    assert Recipe.model_validate(json.loads(same.output)) == recipe


def test_parameters_of_the_command_line_count(experiments: Call) -> None:
    params = "experiments.recipe.training.epochs=7"
    shown = experiments("convnext_small", "--env=base", "--params", params)
    assert yaml.safe_load(shown.output)["training"]["epochs"] == 7


def test_the_list_can_be_read_by_programs(experiments: Call) -> None:
    listed = json.loads(experiments("--env=base", "--json").output)
    assert listed["selected"] == "convnext_tiny"
    assert listed["differences"]["convnext_tiny"] == {}
    assert listed["differences"]["convnext_tiny_lr5e-4"] == {"training.learning_rate": 0.0005}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], r"Error: unknown experiment 'nope'; known are .*convnext_small"),
        (["--params", "experiment=nope"], r"unknown experiment 'nope'; known are .*convnext_small"),
        (["--params", "experiments.recipe.training.epochs=0"], r"(?s)training\.epochs.*\b0\b"),
    ],
)
def test_what_does_not_exist_is_named(
    experiments: Call, arguments: list[str], message: str
) -> None:
    result = experiments(*arguments)
    assert result.exit_code == 1
    assert re.search(message, result.output), result.output
