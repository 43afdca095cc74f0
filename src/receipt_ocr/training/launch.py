"""The processes that torchrun or SLURM has started for one training; light to import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from receipt_ocr.detector.settings import TrainingSettings

_INTERACTIVE_JOBS = ("bash", "interactive")
"""Names of SLURM jobs that Lightning takes for interactive: their tasks do not train together."""


@dataclass(frozen=True)
class Launch:
    """This process among those that were started together."""

    launcher: str = ""
    """``torchrun`` or ``SLURM``; empty for a process that was started by itself."""
    rank: int = 0
    """Number of this process. The first one writes, the others only train."""
    processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def choose_strategy(self, settings: TrainingSettings) -> str:
        """Choose Lightning's name of how the devices train together.

        Without a launcher, processes are spawned: Lightning's ``ddp`` would run the whole command
        once more in each of them.

        Raises:
            ValueError: If the settings and the started processes do not go together.
        """
        asked = settings.processes
        if self.launcher and asked != self.processes:
            raise ValueError(
                f"{self.launcher} started {self.processes} processes, but training.devices x "
                f"training.num_nodes is {asked}: each process needs one device of its own; change "
                "one of them"
            )
        if not self.launcher and (settings.num_nodes > 1 or settings.strategy == "ddp"):
            raise ValueError(
                f"training.num_nodes {settings.num_nodes} with training.strategy "
                f"{settings.strategy} needs processes that torchrun or SLURM starts on every "
                "machine, such as: torchrun --nnodes=2 --nproc-per-node=4 ... -m kedro run "
                "--pipeline=train_fold (docs/training.md shows both)"
            )
        if asked == 1:
            return "auto"
        if not self.launcher:
            return "ddp_spawn" if settings.strategy == "auto" else settings.strategy
        if settings.strategy not in {"auto", "ddp"}:
            raise ValueError(
                f"training.strategy {settings.strategy} starts processes itself, but "
                f"{self.launcher} has started them; set it to auto"
            )
        return "ddp"


def read_launch(variables: Mapping[str, str] | None = None) -> Launch:
    """Read from the environment (None: this process's own) how this process was started."""
    found = os.environ if variables is None else variables
    if "TORCHELASTIC_RUN_ID" in found:
        return Launch("torchrun", int(found["RANK"]), int(found["WORLD_SIZE"]))
    tasks = int(found.get("SLURM_NTASKS", "1"))
    # A job's script has the number of tasks as well; only what srun starts belongs to a step.
    is_task = "SLURM_STEP_ID" in found and "SLURM_PROCID" in found
    if is_task and tasks > 1 and found.get("SLURM_JOB_NAME") not in _INTERACTIVE_JOBS:
        return Launch("SLURM", int(found["SLURM_PROCID"]), tasks)
    return Launch()
