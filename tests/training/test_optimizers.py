"""Optimisers decay what they should, and schedules are those of their names."""

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler

from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import NetworkSettings, TrainingSettings
from receipt_ocr.training.optimizers import build_optimizer, learning_rate_at, parameter_groups


def optimizer_with(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates_of(schedule: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return rates


def test_the_cosine_falls_once_an_epoch_as_in_torch() -> None:
    settings = TrainingSettings(schedule_epochs=20)
    optimizer = optimizer_with(settings.learning_rate)
    expected = rates_of(lr_scheduler.CosineAnnealingLR(optimizer, 20, 0.000008), 21)
    for epoch, rate in enumerate(expected):
        for step in (0, 6):
            assert learning_rate_at(epoch * 7 + step, 7, settings) == pytest.approx(rate)
    assert learning_rate_at(7 * 30, 7, settings) == pytest.approx(0.000008)  # and stays there


def test_one_cycle_is_that_of_torch() -> None:
    settings = TrainingSettings(schedule="one_cycle", epochs=4, learning_rate=0.01)
    schedule = lr_scheduler.OneCycleLR(optimizer_with(0.01), 0.01, total_steps=40)
    for step, rate in enumerate(rates_of(schedule, 39)):
        assert learning_rate_at(step, 10, settings) == pytest.approx(rate)


def test_a_constant_rate_stays() -> None:
    settings = TrainingSettings(schedule="constant", learning_rate=0.002)
    assert {learning_rate_at(step, 10, settings) for step in (0, 9, 10, 500)} == {0.002}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_rate_rises_over_the_first_epochs_then_follows_the_schedule(schedule: str) -> None:
    plain = TrainingSettings.model_validate({"schedule": schedule, "schedule_epochs": 5})
    warm = plain.model_copy(update={"warmup_epochs": 1.5})
    shares = [
        learning_rate_at(step, 10, warm) / learning_rate_at(step, 10, plain) for step in range(50)
    ]
    assert shares[:15] == pytest.approx([(step + 1) / 15 for step in range(15)])
    assert shares[15:] == [1.0] * 35


def test_one_cycle_takes_no_other_warm_up() -> None:
    with pytest.raises(ValidationError, match=r"training\.warmup_epochs must be 0, got 2\.0"):
        TrainingSettings(schedule="one_cycle", warmup_epochs=2.0)


def network(encoder: str = "test_convnext") -> torch.nn.Module:
    return build_network(
        NetworkSettings(encoder=encoder, pretrained=False, inner_channels=8, output_channels=4)
    )


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
    assert {
        name for name in names.values() if name.endswith((".bias", "norm.weight", ".gamma"))
    } <= (spared_names)
    assert any(name.endswith(".gamma") for name in spared_names)
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
    settings = TrainingSettings.model_validate(
        {"optimizer": optimizer, "learning_rate": 0.1, "weight_decay": 0.5}
    )
    steps = build_optimizer(layer, settings)
    layer.weight.grad = torch.zeros(1, 1)
    steps.step()
    # Adam's first step is of the learning rate's size, whatever the gradient's; AdamW multiplies.
    expected = 2.0 - 0.1 if optimizer == "adam" else 2.0 * (1 - 0.1 * 0.5)
    assert layer.weight.item() == pytest.approx(expected)


def test_spared_biases_keep_their_value_without_a_gradient() -> None:
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.bias, 2.0)
    settings = TrainingSettings(
        optimizer="adamw", learning_rate=0.1, weight_decay=0.5, decay_norms_and_biases=False
    )
    steps = build_optimizer(layer, settings)
    for weight in layer.parameters():
        weight.grad = torch.zeros_like(weight)
    before = layer.weight.item()
    steps.step()
    assert layer.bias.item() == 2.0
    assert layer.weight.item() == pytest.approx(before * 0.95)
