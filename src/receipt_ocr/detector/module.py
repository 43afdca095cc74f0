"""One detector while it learns: loss, schedule, validation on the contest's score."""

import logging
import time
from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from receipt_ocr.decoding.candidates import is_noise
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.detector.history import EpochRow, describe_epoch, is_patience_spent
from receipt_ocr.detector.loading import FramedPage
from receipt_ocr.detector.loss import DBLoss
from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import Recipe, TrainingSettings
from receipt_ocr.evaluation.cleval import PageScore, prepare_truth, score_pages, score_prepared
from receipt_ocr.geometry import Polygon
from receipt_ocr.receipts.samples import LabelledPage

__all__ = ["DetectorModule", "learning_rate_at"]

log = logging.getLogger(__name__)

# PyTorch's OneCycleLR has the same defaults.
WARM_UP_SHARE = 0.3
ONE_CYCLE_START = 25.0
ONE_CYCLE_END = 25.0 * 1e4


def learning_rate_at(step: int, steps_per_epoch: int, settings: TrainingSettings) -> float:
    """Learning rate of an optimiser step (from 0), a function of its number alone.

    ``cosine`` falls once an epoch (Loshchilov and Hutter, "SGDR", 2017, equation 5, without
    restarts); ``one_cycle`` rises over the first 30 % of all steps and falls over the rest
    (Smith and Topin, "Super-Convergence", 2018), both along a cosine.
    """
    peak = settings.learning_rate
    if settings.schedule == "cosine":
        progress = min(1.0, step // steps_per_epoch / settings.schedule_epochs)
        return _along_cosine(peak, settings.final_learning_rate, progress)
    total = max(2, steps_per_epoch * settings.epochs)
    top = max(1.0, WARM_UP_SHARE * total - 1)
    if step < top:
        return _along_cosine(peak / ONE_CYCLE_START, peak, step / top)
    progress = min(1.0, (step - top) / max(1.0, total - 1 - top))
    return _along_cosine(peak, peak / ONE_CYCLE_END, progress)


class DetectorModule(lightning.LightningModule):
    """The network with its loss and optimiser, judged each epoch by page-mean CLEval."""

    def __init__(
        self, recipe: Recipe, validation: Sequence[LabelledPage], steps_per_epoch: int
    ) -> None:
        """Build the network of a recipe.

        Args:
            recipe: Network, loss and schedule.
            validation: Pages that the score of an epoch is computed on.
            steps_per_epoch: Optimiser steps an epoch, for the schedule.
        """
        super().__init__()
        self.save_hyperparameters({"recipe": recipe.model_dump(mode="json")}, logger=False)
        self.recipe = recipe
        self.network = build_network(recipe.network)
        self.loss = DBLoss(recipe.loss)
        self.steps_per_epoch = steps_per_epoch
        # The truth side of the score does not change: it is prepared once.
        self.truths = {
            page.name: prepare_truth(page.polygons, ignored=page.ignored) for page in validation
        }
        self.history: list[EpochRow] = []
        self._scores: list[PageScore] = []
        self._losses: list[Tensor] = []
        self._epoch_start = 0.0

    def on_train_start(self) -> None:
        """Train no further where an interrupted training had spent its patience."""
        self._stop_when_patience_is_spent()

    def on_train_epoch_start(self) -> None:
        """Look at the clock."""
        self._epoch_start = time.perf_counter()

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Loss of one batch."""
        images = batch["image"]
        if self.recipe.training.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        parts = self.loss(self.network(images), batch)
        self._losses.append(torch.stack(parts).detach())
        self.log("loss", parts.total, prog_bar=True, logger=False)
        total: Tensor = parts.total
        return total

    def on_validation_start(self) -> None:
        """Refuse to go on with weights that are no numbers.

        Raises:
            ValueError: If the last loss is not finite.
        """
        if self._losses and not torch.isfinite(self._losses[-1]).all():
            settings = self.recipe.training
            raise ValueError(
                f"the loss became {float(self._losses[-1][0])} in epoch {self.current_epoch}; "
                f"lower training.learning_rate ({settings.learning_rate}) or set "
                f"training.precision to 32-true (now {settings.precision})"
            )

    def validation_step(self, page: FramedPage, _: int) -> None:
        """Decode and score one page; a map of noise scores as a page without detections."""
        probability = self.network.predict(page.image[None])[0, 0].cpu().numpy()
        map_ = ProbabilityMap.from_probability(
            probability, page.frame.map_to_page, page.frame.page_width, page.frame.page_height
        )
        settings = self.recipe.postprocess
        polygons: Sequence[Polygon] = ()
        if not is_noise(map_.probability, settings):
            polygons = extract_polygons(map_.probability, map_.map_to_page, settings).polygons
        self._scores.append(score_prepared(self.truths[page.name], polygons))

    def on_validation_epoch_end(self) -> None:
        """Page-mean precision, recall and H-mean of the epoch."""
        score = score_pages(self._scores)
        self._scores = []
        self.log("hmean", score.hmean, prog_bar=True)
        self.log_dict({"precision": score.precision, "recall": score.recall})

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history, before its checkpoint is written."""
        parts = torch.stack(self._losses).mean(dim=0).tolist()
        self._losses = []
        row = dict(
            zip(("loss", "loss_shrink", "loss_threshold", "loss_binary"), parts, strict=True)
        )
        row["learning_rate"] = self._learning_rate(max(0, self.global_step - 1))
        row["size"] = float(self.recipe.frame.size_at(self.current_epoch))
        self.log_dict({f"train_{name}": value for name, value in row.items()})
        score = {
            k: float(self.trainer.callback_metrics[k]) for k in ("precision", "recall", "hmean")
        }
        self.history.append({"epoch": float(self.current_epoch), **row, **score})
        self._stop_when_patience_is_spent()
        if self.trainer.progress_bar_callback is None:
            seconds = time.perf_counter() - self._epoch_start
            epochs = self.recipe.training.epochs
            log.info("%s", describe_epoch(self.history[-1], epochs, seconds))

    def configure_optimizers(self) -> Any:
        """Adam or AdamW with the recipe's schedule, advanced every step."""
        settings = self.recipe.training
        kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        optimizer = kind(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
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

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Take the history up again."""
        self.history = list(checkpoint["history"])

    def _stop_when_patience_is_spent(self) -> None:
        if is_patience_spent(self.history, self.recipe):
            self.trainer.should_stop = True

    def _learning_rate(self, step: int) -> float:
        return learning_rate_at(step, self.steps_per_epoch, self.recipe.training)


def _along_cosine(start: float, end: float, progress: float) -> float:
    return float(end + (start - end) * (1 + cos(pi * np.clip(progress, 0.0, 1.0))) / 2)
