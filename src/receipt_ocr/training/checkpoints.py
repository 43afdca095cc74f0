"""The files that a training writes at the end of every epoch.

- ``last.ckpt`` holds everything needed to go on: weights, optimiser, schedule, history.
- ``epoch=07-hmean=0.8471.ckpt`` of each of the best epochs holds what is needed to predict.
"""

from pathlib import Path
from typing import cast

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from receipt_ocr.detector.trained import EpochRow
from receipt_ocr.training.history import best_epochs
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.work_folder import WorkFolder

LAST_FILE = "last.ckpt"

_PREDICTION_KEYS = ("hyper_parameters", "state_dict", "epoch", "history")


def name_checkpoint(row: EpochRow) -> str:
    """Name an epoch's checkpoint file."""
    score = f"-hmean={row['hmean']:.4f}" if "hmean" in row else ""
    return f"epoch={int(row['epoch']):02d}{score}.ckpt"


class EpochCheckpoints(Checkpoint):
    """Writes the state to resume from every epoch, and keeps the checkpoints of the best ones.

    Lightning calls a ``Checkpoint`` after all other callbacks and after the module, which has
    added the epoch to its history by then. Its own ``ModelCheckpoint`` is not used: it decides by
    what it remembers of earlier files, while here the history alone decides.
    """

    def __init__(self, folder: WorkFolder, kept: int) -> None:
        """Write into a folder; keep the checkpoints of that many best epochs."""
        super().__init__()
        self.folder = folder
        self.kept = kept

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the epoch's files and remove those of epochs that are no longer among the best.

        The state to resume from comes last: a training that is interrupted before it repeats the
        epoch and writes the same files again.
        """
        history = cast(DetectorModule, pl_module).history
        best = {name_checkpoint(row) for row in best_epochs(history, self.kept)}
        folder = self.folder.path
        partial = folder / f"{LAST_FILE}.partial"
        # Every process must call this, as Lightning gathers the state from all; rank 0 writes it.
        trainer.save_checkpoint(partial, weights_only=False)
        if trainer.is_global_zero:
            newest = name_checkpoint(history[-1])
            written = [newest, LAST_FILE] if newest in best else [LAST_FILE]
            if newest in best:
                _extract(partial, folder / newest)
            # Renamed into place: an interruption while writing leaves the earlier file.
            partial.replace(folder / LAST_FILE)
            self.folder.publish(written)
            outdated = [file for file in folder.glob("epoch=*.ckpt") if file.name not in best]
            self.folder.discard(file.name for file in outdated)
            for file in outdated:
                file.unlink()
        trainer.strategy.barrier("epoch files")


def _extract(state: Path, file: Path) -> None:
    """Copy what predicting needs out of a state.

    The file is made from the state rather than from the network, because with a moving average
    Lightning saves the averaged weights while the network already holds the current ones again.
    """
    content = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
    partial = file.with_name(f"{file.name}.partial")
    torch.save({key: content[key] for key in _PREDICTION_KEYS}, partial)
    partial.replace(file)
