"""Training of one detector: from labelled pages to the best checkpoint and the history."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import Logger

from receipt_ocr.detector.callbacks import EpochBar, EpochFiles
from receipt_ocr.detector.history import EpochRow, best_epochs, checkpoint_name
from receipt_ocr.detector.loading import PagesData
from receipt_ocr.detector.module import DetectorModule, ignore_harmless_warnings
from receipt_ocr.detector.settings import Recipe, TrainingSettings
from receipt_ocr.detector.training_folder import (
    DECODED_PAGES,
    LAST_FILE,
    TrainingResult,
    check_folder,
    claim_folder,
    hold_folder,
    identify,
    read_result,
    write_result,
)
from receipt_ocr.detector.work_folder import WorkFolder
from receipt_ocr.receipts.augmentation import check_pixels
from receipt_ocr.receipts.samples import LabelledPage

__all__ = ["TrainingResult", "train_detector"]

log = logging.getLogger(__name__)


def train_detector(
    recipe: Recipe,
    training: Sequence[LabelledPage],
    validation: Sequence[LabelledPage],
    folder: Path | WorkFolder,
    logger: Logger | None = None,
) -> TrainingResult:
    """Train one detector, or go on where an earlier run of the same settings stopped.

    Args:
        recipe: What to train and how.
        training: Pages to learn from.
        validation: Pages to judge every epoch by; none of them may be a training page. Without
            any, all epochs of the recipe are trained, and the last one counts.
        folder: For checkpoints; holds the state to resume from, and decoded pages meanwhile.
            Where it is kept at a remote address, every epoch is published there.
        logger: A Lightning logger that receives every epoch's figures.

    With ``training.resume`` false the folder's earlier training is deleted, once the new one is
    ready to start.

    Raises:
        ValueError: If pages are missing or stand on both sides, ``folder`` holds something else
            than the training of these settings and pages or is in use, the machine lacks the
            accelerator,
            albumentations has no such transform, or the loss stops being a number.
        FileNotFoundError: If the training is finished but the best epoch's checkpoint is gone.
    """
    settings = recipe.training
    processes = settings.devices * settings.num_nodes
    _check_pages(training, validation, processes)
    check_pixels(recipe.augmentation)
    work = folder if isinstance(folder, WorkFolder) else WorkFolder(folder)
    work.fetch()
    folder = work.path
    identity = identify(recipe, training, validation)
    check_folder(folder, identity, resume=settings.resume)
    if settings.resume and (finished := read_result(folder)) is not None:
        log.info("Training in %s is finished already; resume=false would repeat it", folder)
        return finished
    data = PagesData(training, validation, recipe, folder / DECODED_PAGES)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    module = DetectorModule(recipe, validation, data.steps_per_epoch(processes))
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
    last = folder / LAST_FILE
    with warnings.catch_warnings():
        ignore_harmless_warnings()
        trainer = _build_trainer(recipe, work, logger, is_judged=bool(validation))
        with hold_folder(folder):
            # Only now: a training that cannot start must neither claim the folder nor empty it.
            claim_folder(work, identity, resume=settings.resume)
            trainer.fit(module, data, ckpt_path=last if last.exists() else None, weights_only=True)
            result = _conclude(folder, settings)
            write_result(work, result)
    return result


def _check_pages(
    training: Sequence[LabelledPage], validation: Sequence[LabelledPage], processes: int
) -> None:
    if not training:
        raise ValueError("training needs pages to learn from, got none")
    if shared := {page.name for page in training} & {page.name for page in validation}:
        raise ValueError(f"page {min(shared)!r} would be trained on and judged by")
    fewest = min(len(side) for side in (training, validation) if side)
    if fewest < processes:
        raise ValueError(
            f"training.devices x training.num_nodes is {processes}, but there are only {fewest} "
            "pages on one side: use fewer devices"
        )


def _build_trainer(
    recipe: Recipe, folder: WorkFolder, logger: Logger | None, *, is_judged: bool
) -> lightning.Trainer:
    settings = recipe.training
    callbacks: list[lightning.Callback] = [EpochFiles(folder, settings.kept_checkpoints)]
    if settings.ema_decay:
        callbacks.insert(0, EMAWeightAveraging(decay=settings.ema_decay))
    has_bar = sys.stdout.isatty()  # elsewhere the module logs one line an epoch
    if has_bar:
        callbacks.append(EpochBar(refresh_rate=5))
    try:
        return lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=_choose_strategy(settings),
            sync_batchnorm=settings.sync_batchnorm,
            use_distributed_sampler=False,  # batches and pages are shared out by the loaders
            precision=settings.precision,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.gradient_clip,
            callbacks=callbacks,
            logger=logger or False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            limit_val_batches=None if is_judged else 0,
            reload_dataloaders_every_n_epochs=1,
            enable_model_summary=False,
            enable_progress_bar=has_bar,
        )
    except MisconfigurationException as error:
        raise ValueError(
            f"training.accelerator {settings.accelerator!r} with training.devices "
            f"{settings.devices} cannot be used on this machine ({error}); set "
            "training.accelerator to auto or cpu"
        ) from error


def _choose_strategy(settings: TrainingSettings) -> str:
    """Several processes are spawned: Lightning's ``ddp`` would run the whole command in each."""
    if settings.strategy != "auto" or settings.devices * settings.num_nodes == 1:
        return settings.strategy
    return "ddp_spawn"


def _conclude(folder: Path, settings: TrainingSettings) -> TrainingResult:
    """The result, from the last state on disk: other processes may have trained."""
    state = torch.load(folder / LAST_FILE, map_location="cpu", weights_only=True, mmap=True)
    history: list[EpochRow] = state["history"]
    best = best_epochs(history, 1)[0]
    stopped_early = len(history) < settings.epochs
    result = TrainingResult(
        checkpoint=folder / checkpoint_name(best),
        best_epoch=int(best["epoch"]),
        best_hmean=best.get("hmean"),
        history=history,
        stopped_by=f"{'patience of ' if stopped_early else ''}"
        f"{settings.patience if stopped_early else settings.epochs} epochs",
    )
    score = "not judged" if result.best_hmean is None else f"H-mean {result.best_hmean:.4f}"
    skipped = int(sum(row["skipped_steps"] for row in history))
    log.info(
        "Trained %d epochs (stopped by %s%s): best epoch %d, %s, %s",
        len(history),
        result.stopped_by,
        f"; {skipped} batches skipped, their loss was no number" if skipped else "",
        result.best_epoch,
        score,
        result.checkpoint,
    )
    return result
