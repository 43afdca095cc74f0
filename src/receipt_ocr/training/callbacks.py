"""What happens at the end of an epoch besides learning: files and progress."""

import time
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar

from receipt_ocr.training.epoch_files import LAST_FILE
from receipt_ocr.training.history import best_epochs, checkpoint_name, format_duration
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.work_folder import WorkFolder

__all__ = ["EpochBar", "EpochFiles"]

PREDICTION_KEYS = ("hyper_parameters", "state_dict", "epoch", "history")
"""What the file of an epoch keeps of the state to resume from: all that predicting needs."""


class EpochFiles(Checkpoint):
    """Keeps the checkpoints of the best epochs and the state to resume from."""

    def __init__(self, folder: WorkFolder, kept: int) -> None:
        """Point at a folder.

        Args:
            folder: For the files, which are published as they are written.
            kept: Number of best epochs whose file stays.
        """
        super().__init__()
        self.folder = folder
        self.kept = kept

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the epoch's files and remove those of epochs that are no longer among the best.

        The state to resume from comes last: whoever is interrupted before it repeats the epoch
        and writes the same files again.
        """
        history = cast(DetectorModule, pl_module).history
        names = {checkpoint_name(row) for row in best_epochs(history, self.kept)}
        folder = self.folder.path
        partial = folder / f"{LAST_FILE}.partial"
        # Every process takes part, the first one writes.
        trainer.save_checkpoint(partial, weights_only=False)
        if trainer.is_global_zero:
            newest = checkpoint_name(history[-1])
            written = [newest, LAST_FILE] if newest in names else [LAST_FILE]
            if newest in names:
                _extract(partial, folder / newest)
            # Renamed into place: an interruption while writing leaves the earlier file.
            partial.replace(folder / LAST_FILE)
            self.folder.publish(written)
            outdated = [f for f in folder.glob("epoch=*.ckpt") if f.name not in names]
            self.folder.discard(file.name for file in outdated)
            for file in outdated:
                file.unlink()
        trainer.strategy.barrier("epoch files")


class EpochBar(TQDMProgressBar):
    """A terminal's progress bar with loss, H-mean and the time that is left at most."""

    def __init__(self, refresh_rate: int) -> None:
        """A bar.

        Args:
            refresh_rate: Batches between two looks at the figures.
        """
        super().__init__(refresh_rate)
        self._start: tuple[float, int] | None = None

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, Any]:
        """What stands beside the bar."""
        shown = cast(dict[str, Any], super().get_metrics(trainer, pl_module))
        shown.pop("v_num", None)  # a logger's run id says nothing about progress
        now, step = time.monotonic(), trainer.global_step
        if self._start is None:
            self._start = now, step
        start, first = self._start
        if step > first and trainer.max_epochs is not None:
            steps = cast(DetectorModule, pl_module).steps_per_epoch * trainer.max_epochs
            shown["to go"] = format_duration((now - start) / (step - first) * (steps - step))
        return shown


def _extract(state: Path, file: Path) -> None:
    """Write what predicting needs of a state: with a moving average, its weights."""
    content = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
    partial = file.with_name(f"{file.name}.partial")
    torch.save({key: content[key] for key in PREDICTION_KEYS}, partial)
    partial.replace(file)
