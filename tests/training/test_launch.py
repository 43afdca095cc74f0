"""A process recognises its launcher, and refuses settings that do not go with it."""

from typing import Any

import pytest

from receipt_ocr.detector.settings import TrainingSettings
from receipt_ocr.training.launch import Launch, read_launch

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "8"}
TASK = {"SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("variables", "launch"),
    [
        ({}, Launch()),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Launch()),  # whatever set them, it was no torchrun
        (TORCHRUN, Launch("torchrun", 3, 8)),
        ({**TASK, **TORCHRUN}, Launch("torchrun", 3, 8)),  # torchrun in a task of SLURM's
        (TASK, Launch("SLURM", 2, 4)),
        ({**TASK, "SLURM_NTASKS": "1"}, Launch()),
        ({**TASK, "SLURM_JOB_NAME": "interactive"}, Launch()),
        # The script of a job, which srun has not started.
        ({key: value for key, value in TASK.items() if key != "SLURM_STEP_ID"}, Launch()),
    ],
)
def test_the_environment_says_who_started_this(variables: dict[str, str], launch: Launch) -> None:
    assert read_launch(variables) == launch
    assert launch.is_first == (launch.rank == 0)


@pytest.mark.parametrize(
    ("launch", "settings", "strategy"),
    [
        (Launch(), {}, "auto"),
        (Launch(), {"devices": 2}, "ddp_spawn"),
        (Launch(), {"devices": 2, "strategy": "ddp_fork"}, "ddp_fork"),
        (Launch("torchrun", 0, 1), {}, "auto"),
        (Launch("torchrun", 1, 2), {"devices": 2}, "ddp"),
        (Launch("SLURM", 5, 8), {"devices": 4, "num_nodes": 2, "strategy": "ddp"}, "ddp"),
    ],
)
def test_the_strategy_follows_from_the_launcher(
    launch: Launch, settings: dict[str, Any], strategy: str
) -> None:
    assert launch.choose_strategy(TrainingSettings(**settings)) == strategy


@pytest.mark.parametrize(
    ("launch", "settings", "message"),
    [
        (Launch(), {"num_nodes": 2}, "num_nodes 2 .* needs processes that torchrun or SLURM"),
        (Launch(), {"devices": 2, "strategy": "ddp"}, "strategy ddp needs processes that torchrun"),
        (Launch("torchrun", 0, 4), {"devices": 2}, "torchrun started 4 processes, .* is 2"),
        (
            Launch("SLURM", 0, 2),
            {"devices": 2, "strategy": "ddp_spawn"},
            "ddp_spawn starts processes itself, but SLURM",
        ),
    ],
)
def test_settings_that_do_not_go_with_the_launcher_are_refused(
    launch: Launch, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        launch.choose_strategy(TrainingSettings(**settings))
