"""Training of one detector: from labelled pages to the best checkpoint and the history."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from torch import distributed
from torch.multiprocessing.spawn import ProcessRaisedException

from receipt_ocr.detector.checkpoint import EpochRow
from receipt_ocr.detector.settings import Recipe, TrainingSettings
from receipt_ocr.receipts.colours import check_pixels
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.training.callbacks import EpochBar, EpochFiles
from receipt_ocr.training.epoch_files import (
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
from receipt_ocr.training.history import best_epochs, checkpoint_name
from receipt_ocr.training.launch import Launch, read_launch
from receipt_ocr.training.loading import PagesData
from receipt_ocr.training.module import DetectorModule, ignore_harmless_warnings
from receipt_ocr.training.work_folder import WorkFolder

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

    Where a launcher has started several processes (torchrun, SLURM), each of them calls this with
    the same arguments. The first one writes and returns; the others end with the training.

    Raises:
        ValueError: If pages are missing or stand on both sides, ``folder`` holds something else
            than the training of these settings and pages or is in use, the machine lacks the
            accelerator, the processes of a launcher do not fit the settings,
            albumentations has no such transform, or the loss stops being a number.
        FileNotFoundError: If the training is finished but the best epoch's checkpoint is gone.
        SystemExit: In all processes of a launcher but the first, when their part is done.
    """
    settings, launch = recipe.training, read_launch()
    strategy = launch.choose_strategy(settings)
    processes = settings.devices * settings.num_nodes
    _check_pages(training, validation, processes)
    check_pixels(recipe.augmentation)
    work = folder if isinstance(folder, WorkFolder) else WorkFolder(folder)
    work.fetch()
    folder = work.path
    identity = identify(recipe, training, validation)
    check_folder(folder, identity, resume=settings.resume)
    if settings.resume and (finished := read_result(folder)) is not None:
        _end_unless_first(launch)
        log.info("Training in %s is finished already; resume=false would repeat it", folder)
        return finished
    data = PagesData(training, validation, recipe, folder / DECODED_PAGES)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    module = DetectorModule(recipe, validation, data.steps_per_epoch(processes))
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
    with warnings.catch_warnings():
        ignore_harmless_warnings()
        trainer = _build_trainer(recipe, work, logger, launch, strategy, is_judged=bool(validation))
        if not launch.is_first:
            _fit(trainer, module, data, _state_to_resume(folder, settings))
            _end_unless_first(launch)
        with hold_folder(folder):
            # Only now: a training that cannot start must neither claim the folder nor empty it.
            claim_folder(work, identity, resume=settings.resume)
            _fit(trainer, module, data, _state_to_resume(folder, settings))
            result = _conclude(folder, settings)
            write_result(work, result)
    return result


def _state_to_resume(folder: Path, settings: TrainingSettings) -> Path | None:
    last = folder / LAST_FILE
    return last if settings.resume and last.exists() else None


def _fit(
    trainer: lightning.Trainer, module: DetectorModule, data: PagesData, state: Path | None
) -> None:
    try:
        trainer.fit(module, data, ckpt_path=state, weights_only=True)
    except ProcessRaisedException as error:  # of a spawned process: its traceback as text
        _, is_plain, message = str(error).rpartition("\nValueError: ")
        if not is_plain:
            raise
        raise ValueError(message.strip()) from error
    if distributed.is_available() and distributed.is_initialized():  # joined by a launcher
        distributed.destroy_process_group()


def _end_unless_first(launch: Launch) -> None:
    """Whatever comes after a training is the first process's alone."""
    if not launch.is_first:
        raise SystemExit(0)


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


def _build_trainer(  # noqa: PLR0913  # Lightning takes all of it in one call
    recipe: Recipe,
    folder: WorkFolder,
    logger: Logger | None,
    launch: Launch,
    strategy: str,
    *,
    is_judged: bool,
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
            strategy=strategy,
            # By itself Lightning would wait for the tasks of any SLURM job that it runs in.
            plugins=None if launch.launcher else [LightningEnvironment()],
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
    except (MisconfigurationException, RuntimeError) as error:  # the latter of SLURM's variables
        raise ValueError(
            f"training.accelerator {settings.accelerator!r} with training.devices "
            f"{settings.devices} and training.num_nodes {settings.num_nodes} cannot be used on "
            f"this machine ({error}); set training.accelerator to auto or cpu"
        ) from error


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
