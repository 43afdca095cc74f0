"""One detector while it learns: loss, schedule, validation on the contest's score."""

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from receipt_ocr.detector.checkpoint import EpochRow
from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.training.history import describe_epoch, is_patience_spent
from receipt_ocr.training.loading import FramedPage
from receipt_ocr.training.loss import DBLoss
from receipt_ocr.training.nonfinite import LossGuard
from receipt_ocr.training.optimizers import build_optimizer, learning_rate_at
from receipt_ocr.training.validation import Judge

__all__ = ["DetectorModule", "ignore_harmless_warnings"]

log = logging.getLogger(__name__)

HARMLESS_WARNINGS = (
    r".*does not have many workers",  # 0 is a choice, and the right one on a small machine
    r".*isinstance\(treespec",  # between Lightning and torch
    r".*torch\.distributed\.nn\.functional\.all_gather",
    r".*sync_dist=True",  # the figures are of all processes already
)


def ignore_harmless_warnings() -> None:
    """Keep from the terminal what is no matter here, in this process and until further notice."""
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


class DetectorModule(lightning.LightningModule):
    """The network with its loss and optimiser, judged each epoch by page-mean CLEval."""

    def __init__(
        self, recipe: Recipe, validation: Sequence[LabelledPage], steps_per_epoch: int
    ) -> None:
        """Build the network of a recipe.

        Args:
            recipe: Network, loss and schedule.
            validation: Pages that the score of an epoch is computed on; none for a training that
                is not judged.
            steps_per_epoch: Optimiser steps an epoch, for the schedule.
        """
        super().__init__()
        self.save_hyperparameters({"recipe": recipe.model_dump(mode="json")}, logger=False)
        self.recipe = recipe
        self.network = build_network(recipe.network)
        self.loss = DBLoss(recipe.loss)
        self.steps_per_epoch = steps_per_epoch
        self.judge = Judge(validation, recipe.postprocess)
        self.is_judged = bool(validation)
        self.guard = LossGuard(self.network)
        self.history: list[EpochRow] = []
        self.score: dict[str, float] = {}
        self._losses: list[Tensor] = []
        self._pages: list[str] = []
        self._has_good_batch = False
        self._skipped_before = 0
        self._epoch_start = 0.0

    def setup(self, stage: str) -> None:
        """What every process does for itself, once it runs."""
        ignore_harmless_warnings()  # a process that was started for this training knows none
        settings = self.recipe.training
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if settings.compile:
            self.network.compile()

    def on_train_start(self) -> None:
        """Train no further where an interrupted training had spent its patience."""
        self.guard.keep()
        self._stop_when_patience_is_spent()

    def on_train_epoch_start(self) -> None:
        """Look at the clock."""
        self._epoch_start = time.perf_counter()
        self._skipped_before = self.guard.skipped

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch; 0 where it is no number, and the weights stay as they are.

        Raises:
            ValueError: If the loss is no number for several batches in a row.
        """
        images = batch["image"]
        if self.recipe.training.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        parts = self.loss(self.network(images), batch)
        if not self.guard.accepts(parts.total, batch["page"]):
            return self.guard.zero_loss()
        self._has_good_batch = True
        self._pages += batch["page"]
        self._losses.append(torch.stack(parts).detach())
        self.log("loss", parts.total, prog_bar=True, logger=False)
        total: Tensor = parts.total
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the optimiser pass over bad batches: without gradients it changes nothing.

        Of batches that are accumulated, the good ones count.

        Raises:
            ValueError: If the gradients are no numbers for several steps in a row.
        """
        # In half precision a scaler looks for them, and expects some while it finds its scale.
        has_scaler = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        is_good = self._has_good_batch
        if is_good and not has_scaler:
            is_good = self.guard.accepts_gradients(self._pages)
        if not is_good:
            optimizer.zero_grad(set_to_none=True)
        self._pages, self._has_good_batch = [], False

    def on_validation_epoch_start(self) -> None:
        """Let all processes judge with the statistics of the first one, whose weights are kept."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, page: FramedPage, _: int) -> None:
        """Decode and score one page.

        Raises:
            ValueError: If the map is no numbers, so that nothing more can be learnt.
        """
        probability = self.network.predict(page.image[None])[0, 0].float().cpu().numpy()
        if not np.isfinite(probability).all():  # a number too large for half precision?
            with torch.autocast(self.device.type, enabled=False):
                probability = self.network.predict(page.image[None])[0, 0].cpu().numpy()
        if not np.isfinite(probability).all():
            settings = self.recipe.training
            raise ValueError(
                f"the network's maps became nan in epoch {self.current_epoch}; lower "
                f"training.learning_rate ({settings.learning_rate}) or set training.precision to "
                f"32-true (now {settings.precision}), and start over with --params resume=false"
            )
        self.judge.add(page.name, probability, page.frame)

    def on_validation_epoch_end(self) -> None:
        """Page-mean precision, recall and H-mean of the epoch."""
        score = self.judge.conclude()
        # Kept beside the log, which rounds to single precision.
        self.score = {
            "precision": score.precision,
            "recall": score.recall,
            "hmean": score.hmean,
        }
        self.log("hmean", score.hmean, prog_bar=True)
        self.log_dict({"precision": score.precision, "recall": score.recall})

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history, before its checkpoint is written."""
        row = self._mean_losses()
        row["learning_rate"] = self._learning_rate(max(0, self.global_step - 1))
        row["size"] = float(self.recipe.frame.size_at(self.current_epoch))
        row["skipped_steps"] = float(self.guard.skipped - self._skipped_before)
        row["seconds"] = seconds = time.perf_counter() - self._epoch_start
        self.log_dict({f"train_{name}": value for name, value in row.items()})
        self.history.append({"epoch": float(self.current_epoch), **row, **self.score})
        self._stop_when_patience_is_spent()
        if self.trainer.progress_bar_callback is None and self.trainer.is_global_zero:
            epochs = self.recipe.training.epochs
            log.info("%s", describe_epoch(self.history[-1], epochs, seconds))

    def configure_optimizers(self) -> Any:
        """Adam or AdamW with the recipe's schedule, advanced every step."""
        settings = self.recipe.training
        optimizer = build_optimizer(self.network, settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self._learning_rate(step) / settings.learning_rate
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history travels with the weights, so that a resumed run keeps its past."""
        checkpoint["history"] = self.history
        checkpoint["skipped_steps"] = self.guard.skipped

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Take the history up again."""
        self.history = list(checkpoint["history"])
        self.guard.skipped = int(checkpoint.get("skipped_steps", 0))

    def _mean_losses(self) -> dict[str, float]:
        """Loss and its terms, the mean over the epoch's good batches of all processes."""
        means = torch.full((4,), math.nan, device=self.device)
        if self._losses:
            means = torch.stack(self._losses).mean(dim=0)
        self._losses = []
        if self.trainer.world_size > 1:
            gathered: Any = self.all_gather(means)
            means = gathered.nanmean(dim=0)
        names = ("loss", "loss_shrink", "loss_threshold", "loss_binary")
        return dict(zip(names, means.tolist(), strict=True))

    def _stop_when_patience_is_spent(self) -> None:
        if self.is_judged and is_patience_spent(self.history, self.recipe):
            self.trainer.should_stop = True

    def _learning_rate(self, step: int) -> float:
        return learning_rate_at(step, self.steps_per_epoch, self.recipe.training)
