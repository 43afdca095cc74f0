"""Optimisers decay the weights that they should, by the amount that they should."""

import pytest
import torch

from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import NetworkSettings, TrainingSettings
from receipt_ocr.training.optimizers import build_optimizer, parameter_groups


def network() -> torch.nn.Module:
    sizes = {"inner_channels": 8, "output_channels": 4}
    return build_network(NetworkSettings(encoder="test_convnext", pretrained=False, **sizes))


def test_all_weights_decay_as_in_the_report_unless_told_otherwise() -> None:
    weights = network()
    (group,) = parameter_groups(weights, TrainingSettings())
    assert group["weight_decay"] == 0.000085
    assert [id(weight) for weight in group["params"]] == [id(w) for w in weights.parameters()]


def test_norms_biases_and_layer_scales_can_be_spared() -> None:
    weights = network()
    names = {id(weight): name for name, weight in weights.named_parameters()}
    settings = TrainingSettings(decay_norms_and_biases=False, weight_decay=0.1)
    decayed, spared = parameter_groups(weights, settings)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    spared_names = {names[id(weight)] for weight in spared["params"]}
    vectors = [name for name in names.values() if name.endswith((".bias", "norm.weight", ".gamma"))]
    assert spared_names.issuperset(vectors)
    assert any(name.endswith(".gamma") for name in vectors)
    assert "head.probability.1.weight" in spared_names  # of a batch norm
    kernels = {names[id(weight)] for weight in decayed["params"]}
    assert {"decoder.lateral.0.weight", "head.probability.0.weight"} <= kernels


def test_weights_that_are_frozen_are_left_out() -> None:
    weights = network()
    for weight in weights.encoder.parameters():  # type: ignore[union-attr]
        weight.requires_grad = False
    (group,) = parameter_groups(weights, TrainingSettings())
    learnt = list(weights.decoder.parameters()) + list(weights.head.parameters())  # type: ignore[union-attr]
    assert len(group["params"]) == len(learnt)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_weight_decay_is_a_penalty_with_adam_and_a_shrinkage_with_adamw(optimizer: str) -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 2.0)
    changes = {"optimizer": optimizer, "learning_rate": 0.1, "weight_decay": 0.5}
    settings = TrainingSettings.model_validate(changes)
    steps = build_optimizer(layer, settings)
    layer.weight.grad = torch.zeros(1, 1)
    steps.step()
    # Adam's first step is of the learning rate's size, whatever the gradient's; AdamW multiplies.
    expected = 2.0 - 0.1 if optimizer == "adam" else 2.0 * (1 - 0.1 * 0.5)
    assert layer.weight.item() == pytest.approx(expected)
