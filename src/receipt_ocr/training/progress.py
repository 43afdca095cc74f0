"""Progress of a training: a bar in a terminal, elsewhere one log line an epoch."""

import time
from typing import Any, cast

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar

from receipt_ocr.detector.trained import EpochRow


class EpochBar(TQDMProgressBar):
    """A terminal's progress bar with loss, H-mean and the time that is left at most."""

    def __init__(self, steps: int) -> None:
        """Prepare a bar over the optimiser steps of all epochs."""
        super().__init__(refresh_rate=5)
        self._steps = steps
        self._start: tuple[float, int] | None = None

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, Any]:
        """Collect the figures beside the bar, and how long the training may still take."""
        shown = cast(dict[str, Any], super().get_metrics(trainer, pl_module))
        shown.pop("v_num", None)  # a logger's run id says nothing about progress
        now, step = time.monotonic(), trainer.global_step
        if self._start is None:
            self._start = now, step
        # A resumed training starts at a later step: only its own steps say how fast it is.
        start, first = self._start
        if step > first:
            shown["to go"] = _format_duration((now - start) / (step - first) * (self._steps - step))
        return shown


def describe_epoch(row: EpochRow, epochs: int) -> str:
    """Write an epoch's row as one line for a log, with the time that is left of all epochs."""
    score = ""
    if "hmean" in row:
        text = "precision {precision:.4f}, recall {recall:.4f}, H-mean {hmean:.4f}, "
        score = text.format_map(row)
    left = (epochs - 1 - row["epoch"]) * row["seconds"]
    ahead = f", at most {_format_duration(left)} to go" if left else ""
    return (
        f"Epoch {int(row['epoch'])}/{epochs - 1}: size {int(row['size'])}, "
        f"loss {row['loss']:.4f}, {score}{_format_duration(row['seconds'])}{ahead}"
    )


def _format_duration(seconds: float) -> str:
    """Write ``42 s``, ``7 min`` or ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
