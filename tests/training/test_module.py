"""The learning rate of each step, derived by hand and held against PyTorch's own schedules."""

from math import cos, pi

import pytest
import torch

from receipt_ocr.detector.settings import TrainingSettings
from receipt_ocr.training.module import learning_rate_at

COSINE = TrainingSettings(
    learning_rate=0.5, final_learning_rate=0.1, schedule="cosine", schedule_epochs=4, epochs=6
)
ONE_CYCLE = TrainingSettings(learning_rate=0.5, schedule="one_cycle", epochs=4)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.5),
        (9, 0.5),  # the whole first epoch
        (10, 0.1 + 0.4 * (1 + cos(pi / 4)) / 2),
        (20, 0.3),  # half way down
        (39, 0.1 + 0.4 * (1 + cos(3 * pi / 4)) / 2),
        (40, 0.1),
        (59, 0.1),  # after T_max it stays
    ],
)
def test_the_cosine_falls_once_an_epoch(step: int, expected: float) -> None:
    assert learning_rate_at(step, 10, COSINE) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.5 / 25),
        (11, 0.5),  # 40 steps: the top is step 0.3 * 40 - 1
        (25, 0.25 + 0.5 / 25e4 / 2),  # 14 of the 28 steps down
        (39, 0.5 / 25e4),
    ],
)
def test_one_cycle_rises_and_falls_step_by_step(step: int, expected: float) -> None:
    assert learning_rate_at(step, 10, ONE_CYCLE) == pytest.approx(expected, rel=1e-12)


def test_one_cycle_is_that_of_pytorch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=40)
    for step in range(40):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate_at(step, 10, ONE_CYCLE) == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        if step < 39:
            schedule.step()


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (2, 1)])
def test_the_shortest_trainings_have_a_positive_rate(steps: int, epochs: int) -> None:
    settings = ONE_CYCLE.model_copy(update={"epochs": epochs})
    for step in range(steps * epochs):
        assert 0 < learning_rate_at(step, steps, settings) <= 0.5
