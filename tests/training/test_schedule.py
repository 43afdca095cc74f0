"""The learning rate of each step, by hand and against PyTorch's own schedules."""

from math import cos, pi

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler

from receipt_ocr.detector.settings import TrainingSettings
from receipt_ocr.training.schedule import learning_rate_at

COSINE = TrainingSettings(
    learning_rate=0.5, final_learning_rate=0.1, schedule="cosine", schedule_epochs=4, epochs=6
)
ONE_CYCLE = TrainingSettings(learning_rate=0.5, schedule="one_cycle", epochs=4)
CONSTANT = TrainingSettings(learning_rate=0.002, schedule="constant")


@pytest.mark.parametrize(
    ("settings", "step", "expected"),
    [
        (COSINE, 0, 0.5),
        (COSINE, 9, 0.5),  # the whole first epoch
        (COSINE, 10, 0.1 + 0.4 * (1 + cos(pi / 4)) / 2),
        (COSINE, 20, 0.3),  # half way down
        (COSINE, 39, 0.1 + 0.4 * (1 + cos(3 * pi / 4)) / 2),
        (COSINE, 40, 0.1),
        (COSINE, 59, 0.1),  # after T_max it stays
        (ONE_CYCLE, 0, 0.5 / 25),
        (ONE_CYCLE, 11, 0.5),  # 40 steps: the top is step 0.3 * 40 - 1
        (ONE_CYCLE, 25, 0.25 + 0.5 / 25e4 / 2),  # 14 of the 28 steps down
        (ONE_CYCLE, 39, 0.5 / 25e4),
        *((CONSTANT, step, 0.002) for step in (0, 9, 10, 500)),
    ],
)
def test_rates_of_ten_steps_an_epoch_are_those_of_the_formulas(
    settings: TrainingSettings, step: int, expected: float
) -> None:
    assert learning_rate_at(step, 10, settings) == pytest.approx(expected, rel=1e-12)


def optimizer_with(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates_of(schedule: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return rates


def test_schedules_are_those_of_pytorch_the_cosine_advanced_once_an_epoch() -> None:
    cosine = lr_scheduler.CosineAnnealingLR(optimizer_with(0.5), 4, 0.1)
    for epoch, rate in enumerate(rates_of(cosine, 5)):
        for step in (0, 9):
            assert learning_rate_at(10 * epoch + step, 10, COSINE) == pytest.approx(rate)
    one_cycle = lr_scheduler.OneCycleLR(optimizer_with(0.5), 0.5, total_steps=40)
    for step, rate in enumerate(rates_of(one_cycle, 39)):
        assert learning_rate_at(step, 10, ONE_CYCLE) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (2, 1)])
def test_the_shortest_trainings_have_a_positive_rate(steps: int, epochs: int) -> None:
    settings = ONE_CYCLE.model_copy(update={"epochs": epochs})
    for step in range(steps * epochs):
        assert 0 < learning_rate_at(step, steps, settings) <= 0.5


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_rate_rises_over_the_first_epochs_then_follows_the_schedule(schedule: str) -> None:
    plain = TrainingSettings.model_validate({"schedule": schedule, "schedule_epochs": 5})
    warm = plain.model_copy(update={"warmup_epochs": 1.5})
    rate = learning_rate_at
    shares = [rate(step, 10, warm) / rate(step, 10, plain) for step in range(50)]
    assert shares[:15] == pytest.approx([(step + 1) / 15 for step in range(15)])
    assert shares[15:] == [1.0] * 35


def test_one_cycle_takes_no_other_warm_up() -> None:
    with pytest.raises(ValidationError, match=r"training\.warmup_epochs must be 0, got 2\.0"):
        TrainingSettings(schedule="one_cycle", warmup_epochs=2.0)
