"""The recipe's defaults are those of the configuration, and variants are checked at once."""

from typing import Any

import pytest
from pydantic import ValidationError

from receipt_ocr.detector.settings import LITE0_PACKAGE, Experiments, NetworkSettings, Recipe
from tests.detector.configured import read_block, read_experiments


def experiments(**variants: dict[str, Any]) -> Experiments:
    return Experiments.model_validate({"selected": "a", "recipe": {}, "variants": variants})


def test_the_configured_recipe_writes_out_every_default() -> None:
    written, defaults = read_block("base")["recipe"], Recipe().model_dump(mode="json")
    assert written["training"].pop("resume") == "${runtime_params:resume,true}"
    assert defaults["training"].pop("resume") is True
    assert written == defaults  # nothing else is filled in by a run


def test_a_variant_holds_only_its_differences() -> None:
    chosen = experiments(a={"network": {"encoder": "resnet50"}, "training": {"epochs": 3}}).chosen
    assert (chosen.network.encoder, chosen.training.epochs) == ("resnet50", 3)
    assert chosen.network.inner_channels == Recipe().network.inner_channels
    assert experiments(a={}).chosen == Recipe()


@pytest.mark.parametrize("sizes", [{0: 320}, {"0": 320}, [{"epoch": 0, "size": 320}]])
def test_the_sizes_of_a_variant_replace_those_of_the_recipe(sizes: object) -> None:
    frame = experiments(a={"frame": {"sizes": sizes}}).chosen.frame
    assert (frame.size_at(0), frame.size_at(9), frame.final_size) == (320, 320, 320)
    assert frame.last_switch == 0
    assert frame.shape == Recipe().frame.shape


def test_an_unknown_experiment_lists_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"unknown experiment 'a'; known are b, c"):
        experiments(c={}, b={})


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate", "fast"),
        ({"training": {"epochs": 0}}, "training.epochs", "0"),
        ({"network": {"encodr": "resnet18"}}, "network.encodr", "resnet18"),
        ({"frame": {"sizes": {0: 500}}}, "frame", "500"),
        ({"postprocess": {"thresh": 1.5}}, "postprocess.thresh", r"1\.5"),
        ({"trainings": {}}, "trainings", "{}"),
    ],
)
def test_a_wrong_value_in_any_variant_is_named(
    changes: dict[str, Any], key: str, value: str
) -> None:
    with pytest.raises(ValidationError, match=rf"(?s){key}.*{value}"):
        experiments(a={}, never_selected=changes)


@pytest.mark.parametrize("encoder", ["efficientnet_lite0", "resnet18"])
def test_the_weights_of_the_package_fit_one_encoder_only(encoder: str) -> None:
    message = rf"'{LITE0_PACKAGE}' fit encoder 'tf_efficientnet_lite0', not '{encoder}'"
    with pytest.raises(ValidationError, match=message):
        NetworkSettings(encoder=encoder, encoder_weights=LITE0_PACKAGE)
    lite0 = {"encoder": "tf_efficientnet_lite0", "encoder_weights": LITE0_PACKAGE}
    with pytest.raises(ValidationError, match=message):  # a variant that keeps the weights
        variants = {"lite0": {}, "other": {"network": {"encoder": encoder}}}
        content = {"selected": "lite0", "recipe": {"network": lite0}, "variants": variants}
        Experiments.model_validate(content)
    # Weights that are not loaded, and another training of the same encoder, are no fault.
    NetworkSettings(encoder=encoder, encoder_weights=LITE0_PACKAGE, pretrained=False)
    NetworkSettings(encoder="tf_efficientnet_lite0.in1k", encoder_weights=LITE0_PACKAGE)


@pytest.mark.parametrize("environment", ["demo", "sroie"])
def test_the_variants_of_every_environment_are_recipes(environment: str) -> None:
    experiments = read_experiments(environment, selected="lite0")
    assert experiments.chosen.network.encoder_weights == LITE0_PACKAGE
    assert experiments.named("efficientnet_b3").network.encoder_weights is None


def test_a_recipe_survives_json() -> None:
    recipe = experiments(a={"frame": {"sizes": {0: 320, 2: 640}, "crop": [64, 96]}}).chosen
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
