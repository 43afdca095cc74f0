"""What happens at the end of an epoch besides learning: files and progress."""

from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar

from receipt_ocr.detector.history import best_epochs, checkpoint_name
from receipt_ocr.detector.module import DetectorModule

__all__ = ["LAST_FILE", "EpochBar", "EpochFiles"]

LAST_FILE = "last.ckpt"
"""Everything needed to go on; the files of single epochs hold what is needed to predict."""


class EpochFiles(Checkpoint):
    """Keeps the checkpoints of the best epochs and the state to resume from."""

    def __init__(self, folder: Path, kept: int) -> None:
        """Point at a folder.

        Args:
            folder: For the files.
            kept: Number of best epochs whose file stays.
        """
        super().__init__()
        self.folder = folder
        self.kept = kept

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the epoch's files and remove those of epochs that are no longer among the best."""
        history = cast(DetectorModule, pl_module).history
        names = {checkpoint_name(row) for row in best_epochs(history, self.kept)}
        newest = checkpoint_name(history[-1])
        if newest in names:
            self._write(trainer, newest, weights_only=True)
        self._write(trainer, LAST_FILE, weights_only=False)
        for file in self.folder.glob("epoch=*.ckpt"):
            if file.name not in names:
                file.unlink()

    def _write(self, trainer: lightning.Trainer, name: str, *, weights_only: bool) -> None:
        # Renamed into place: an interruption while writing leaves the earlier file.
        partial = self.folder / f"{name}.partial"
        trainer.save_checkpoint(partial, weights_only=weights_only)
        partial.replace(self.folder / name)


class EpochBar(TQDMProgressBar):
    """A terminal's progress bar with loss and H-mean."""

    def get_metrics(self, *args: Any) -> dict[str, Any]:
        """What stands beside the bar."""
        shown = super().get_metrics(*args)
        shown.pop("v_num", None)  # a logger's run id says nothing about progress
        return cast(dict[str, Any], shown)
