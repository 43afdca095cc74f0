"""One detector in training: loss, optimiser and the contest's score after every epoch."""

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from receipt_ocr.detector.network import build_network
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.trained import EpochRow
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.training.history import is_patience_spent
from receipt_ocr.training.loading import FramedPage
from receipt_ocr.training.loss import DBLoss
from receipt_ocr.training.memory import measure_peak_mib
from receipt_ocr.training.nonfinite import NonFiniteGuard
from receipt_ocr.training.optimizers import build_optimizer
from receipt_ocr.training.progress import describe_epoch
from receipt_ocr.training.schedule import learning_rate_at
from receipt_ocr.training.validation import ValidationScorer

log = logging.getLogger(__name__)

_HARMLESS_WARNINGS = (
    r".*does not have many workers",  # 0 is a choice, and the right one on a small machine
    r".*isinstance\(treespec",  # between Lightning and torch
    r".*torch\.distributed\.nn\.functional\.all_gather",
    r".*sync_dist=True",  # the figures are of all processes already
)


def ignore_harmless_warnings() -> None:
    """Silence warnings that do not matter here, in this process and until further notice."""
    for message in _HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


class DetectorModule(lightning.LightningModule):
    """The network with its loss and optimiser, scored each epoch by page-mean CLEval."""

    def __init__(
        self, recipe: Recipe, validation: Sequence[LabelledPage], steps_per_epoch: int
    ) -> None:
        """Build the network of a recipe; there may be no validation pages to score it on."""
        super().__init__()
        self.save_hyperparameters({"recipe": recipe.model_dump(mode="json")}, logger=False)
        self.recipe = recipe
        self.network = build_network(recipe.network)
        self.loss = DBLoss(recipe.loss)
        self.steps_per_epoch = steps_per_epoch
        self.scorer = ValidationScorer(validation, recipe.postprocess)
        self.has_validation = bool(validation)
        self.guard = NonFiniteGuard(self.network)
        self.history: list[EpochRow] = []
        self.score: dict[str, float] = {}
        self.costs: dict[str, float] = {}
        """``inference_seconds_per_page`` and ``peak_memory_mib``, as far as they are known."""
        self._losses: list[Tensor] = []
        self._page_seconds: list[float] = []
        self._skipped_before = 0
        self._epoch_start = 0.0

    def setup(self, stage: str) -> None:
        """Prepare this process; with several, Lightning calls it in each of them."""
        ignore_harmless_warnings()  # a process that was spawned for this training knows none
        settings = self.recipe.training
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if settings.compile:
            self.network.compile()

    def configure_optimizers(self) -> Any:
        """Build Adam or AdamW, and the recipe's schedule that advances every step."""
        settings = self.recipe.training
        optimizer = build_optimizer(self.network, settings)
        # LambdaLR takes a factor of the first rate, and stores the step's number alone: a resumed
        # training computes the same rates.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self._learning_rate(step) / settings.learning_rate
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Stop at once if the interrupted training had spent its patience already."""
        self.guard.keep()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._stop_when_patience_is_spent()

    def on_train_epoch_start(self) -> None:
        """Start the epoch's clock and count of skipped steps."""
        self._epoch_start = time.perf_counter()
        self._skipped_before = self.guard.skipped

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Compute the loss of a batch; 0 if it is not finite, so that the weights stay."""
        images = batch["image"]
        if self.recipe.training.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        parts = self.loss(self.network(images), batch)
        if not self.guard.accepts_batch(parts.total, batch["page"]):
            return self.guard.zero_loss()
        self._losses.append(torch.stack(parts).detach())
        self.log("loss", parts.total, prog_bar=True, logger=False)
        total: Tensor = parts.total
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drop the gradients of a bad step; the good batches of an accumulated step count.

        Without gradients PyTorch's optimisers pass over a weight. With gradients of 0, momentum
        and weight decay would still move it.
        """
        # In half precision a scaler checks gradients itself: while it looks for its scale, some of
        # them are infinite, and that is no fault.
        has_scaler = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if not self.guard.accepts_step(check_gradients=not has_scaler):
            optimizer.zero_grad(set_to_none=True)

    def on_validation_epoch_start(self) -> None:
        """Give all processes the batch norm statistics of the first one, whose weights are kept."""
        # DDP averages gradients, so that weights agree; what batch norm measures stays apart.
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, src=0)
        self._page_seconds = []

    def validation_step(self, page: FramedPage, _: int) -> None:
        """Decode and score one page."""
        start = time.perf_counter()
        polygons = self.scorer.decode(self._predict(page), page.frame)
        self._page_seconds.append(time.perf_counter() - start)
        self.scorer.add(page.name, polygons)

    def on_validation_epoch_end(self) -> None:
        """Log page-mean precision, recall and H-mean of the epoch."""
        score = self.scorer.conclude()
        # Kept beside the log, which rounds to single precision.
        self.score = {name: getattr(score, name) for name in ("precision", "recall", "hmean")}
        for name, value in self.score.items():
            self.log(name, value, prog_bar=name == "hmean")

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history, before its checkpoint is written."""
        row = self._mean_losses()
        row["learning_rate"] = self._learning_rate(max(0, self.global_step - 1))
        row["size"] = float(self.recipe.frame.size_at(self.current_epoch))
        row["skipped_steps"] = float(self.guard.skipped - self._skipped_before)
        row["seconds"] = time.perf_counter() - self._epoch_start
        self.log_dict({f"train_{name}": value for name, value in row.items()})
        self.history.append({"epoch": float(self.current_epoch), **row, **self.score})
        self._note_costs()
        self._stop_when_patience_is_spent()
        if self.trainer.progress_bar_callback is None and self.trainer.is_global_zero:
            log.info("%s", describe_epoch(self.history[-1], self.recipe.training.epochs))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store history and costs with the weights, so that a resumed run keeps its past."""
        checkpoint["history"] = self.history
        checkpoint["skipped_steps"] = self.guard.skipped
        checkpoint["costs"] = self.costs

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Take history and costs up again; states of earlier versions lack the latter."""
        self.history = list(checkpoint["history"])
        self.guard.skipped = int(checkpoint.get("skipped_steps", 0))
        self.costs = dict(checkpoint.get("costs", {}))

    def _predict(self, page: FramedPage) -> NDArray[np.float32]:
        """Predict a page's probability map (H, W), in full precision if half does not suffice.

        A network whose map is not finite learns nothing any more: that ends the training.
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
        return probability

    def _mean_losses(self) -> dict[str, float]:
        """Average loss and terms over the epoch's good batches of all processes."""
        means = torch.full((4,), math.nan, device=self.device)
        if self._losses:
            means = torch.stack(self._losses).mean(dim=0)
        self._losses = []
        if self.trainer.world_size > 1:
            gathered: Any = self.all_gather(means)
            means = gathered.nanmean(dim=0)
        names = ("loss", "loss_shrink", "loss_threshold", "loss_binary")
        return dict(zip(names, means.tolist(), strict=True))

    def _note_costs(self) -> None:
        # The median: the first page also waits for caches and kernels to be chosen.
        if self._page_seconds:
            self.costs["inference_seconds_per_page"] = median(self._page_seconds)
        if (peak := measure_peak_mib(self.device)) is not None:
            self.costs["peak_memory_mib"] = max(peak, self.costs.get("peak_memory_mib", 0.0))

    def _stop_when_patience_is_spent(self) -> None:
        if self.has_validation and is_patience_spent(self.history, self.recipe):
            self.trainer.should_stop = True

    def _learning_rate(self, step: int) -> float:
        return learning_rate_at(step, self.steps_per_epoch, self.recipe.training)
