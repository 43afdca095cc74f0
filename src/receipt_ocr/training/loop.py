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

from receipt_ocr.detector.settings import Recipe, TrainingSettings
from receipt_ocr.detector.trained import EpochRow
from receipt_ocr.receipts.colours import check_pixels
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.training import resume
from receipt_ocr.training.checkpoints import LAST_FILE, EpochCheckpoints, name_checkpoint
from receipt_ocr.training.history import best_epochs
from receipt_ocr.training.launch import Launch, read_launch
from receipt_ocr.training.loading import PagesData
from receipt_ocr.training.module import DetectorModule, ignore_harmless_warnings
from receipt_ocr.training.progress import EpochBar
from receipt_ocr.training.result import DECODED_PAGES, TrainingResult, read_result, write_result
from receipt_ocr.training.work_folder import WorkFolder

log = logging.getLogger(__name__)


def train_detector(
    recipe: Recipe,
    training: Sequence[LabelledPage],
    validation: Sequence[LabelledPage],
    folder: Path | WorkFolder,
    logger: Logger | None = None,
) -> TrainingResult:
    """Train one detector, or go on where an earlier run of the same settings stopped.

    With ``training.resume`` false the folder's earlier training is deleted, once the new one is
    ready to start. Where a launcher has started several processes (torchrun, SLURM), each of them
    calls this with the same arguments: the first one writes and returns; the others end with the
    training.

    Args:
        recipe: Everything that is trained with.
        training: Pages to learn from.
        validation: Other pages, to score after every epoch. Without any, all epochs of the recipe
            are trained, and the last one counts.
        folder: Takes the checkpoints and the state to resume from, and decoded pages meanwhile.
            Where it is kept at a remote address, every epoch is published there.
        logger: Receives every epoch's figures.

    Raises:
        ValueError: If pages are missing or stand on both sides, ``folder`` holds something else
            than the training of these settings and pages or is in use, the machine lacks the
            accelerator, the processes of a launcher do not fit the settings,
            albumentations has no such transform, or the loss is not finite several times in a row.
        FileNotFoundError: If the training is finished but the best epoch's checkpoint is gone.
        SystemExit: In all processes of a launcher but the first, when their part is done.
    """
    settings, launch = recipe.training, read_launch()
    launch.choose_strategy(settings)  # refuses settings that do not go with the launcher
    _check_pages(training, validation, settings.processes)
    check_pixels(recipe.augmentation)
    work = folder if isinstance(folder, WorkFolder) else WorkFolder(folder)
    work.fetch()
    folder = work.path
    identity = resume.identify(recipe, training, validation)
    resume.check_folder(folder, identity, resume=settings.resume)
    if settings.resume and (finished := read_result(folder)) is not None:
        if not launch.is_first:
            raise SystemExit(0)
        log.info("Training in %s is finished already; resume=false would repeat it", folder)
        return finished
    data = PagesData(training, validation, recipe, folder / DECODED_PAGES)
    module = _build_module(recipe, validation, data)
    with warnings.catch_warnings():
        ignore_harmless_warnings()
        trainer = _build_trainer(module, work, logger, launch)
        if not launch.is_first:
            _fit(trainer, module, data, resume.find_state(folder, resume=settings.resume))
            raise SystemExit(0)  # whatever comes after a training is the first process's alone
        with resume.hold_folder(folder):
            # Only now: a training that cannot start must neither claim the folder nor empty it.
            resume.claim_folder(work, identity, resume=settings.resume)
            _fit(trainer, module, data, resume.find_state(folder, resume=settings.resume))
            result = _conclude(folder, settings)
            write_result(work, result)
    return result


def _check_pages(
    training: Sequence[LabelledPage], validation: Sequence[LabelledPage], processes: int
) -> None:
    if not training:
        raise ValueError("training needs pages to learn from, got none")
    if shared := {page.name for page in training} & {page.name for page in validation}:
        raise ValueError(f"page {min(shared)!r} would be trained on and validated on")
    # Processes wait for each other at every step: one without pages would block the others.
    fewest = min(len(side) for side in (training, validation) if side)
    if fewest < processes:
        raise ValueError(
            f"training.devices x training.num_nodes is {processes}, but there are only {fewest} "
            "pages on one side: use fewer devices"
        )


def _build_module(
    recipe: Recipe, validation: Sequence[LabelledPage], data: PagesData
) -> DetectorModule:
    settings = recipe.training
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # Seeded once, right before the network draws its first weights; samples have seeds of their
    # own, so that a resumed training draws the same ones.
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    module = DetectorModule(recipe, validation, data.steps_per_epoch(settings.processes))
    if settings.channels_last:
        module.network.to(memory_format=torch.channels_last)
    return module


def _build_trainer(
    module: DetectorModule, work: WorkFolder, logger: Logger | None, launch: Launch
) -> lightning.Trainer:
    settings = module.recipe.training
    callbacks: list[lightning.Callback] = [EpochCheckpoints(work, settings.kept_checkpoints)]
    if settings.ema_decay:
        callbacks.insert(0, EMAWeightAveraging(decay=settings.ema_decay))
    has_bar = sys.stdout.isatty()  # elsewhere the module logs one line an epoch
    if has_bar:
        callbacks.append(EpochBar(module.steps_per_epoch * settings.epochs))
    try:
        return lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=launch.choose_strategy(settings),
            # By itself Lightning would wait for the tasks of any SLURM job that it runs in.
            plugins=None if launch.launcher else [LightningEnvironment()],
            sync_batchnorm=settings.sync_batchnorm,
            use_distributed_sampler=False,  # our loaders share out batches and pages already
            precision=settings.precision,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.gradient_clip,
            callbacks=callbacks,
            logger=logger or False,
            log_every_n_steps=1,
            # No trial validation: the maps of an untrained network are noise, slow to decode.
            num_sanity_val_steps=0,
            limit_val_batches=None if module.has_validation else 0,
            reload_dataloaders_every_n_epochs=1,  # the size of the pages changes between epochs
            enable_model_summary=False,
            enable_progress_bar=has_bar,
        )
    except (MisconfigurationException, RuntimeError) as error:  # the latter of SLURM's variables
        raise ValueError(
            f"training.accelerator {settings.accelerator!r} with training.devices "
            f"{settings.devices} and training.num_nodes {settings.num_nodes} cannot be used on "
            f"this machine ({error}); set training.accelerator to auto or cpu"
        ) from error


def _fit(
    trainer: lightning.Trainer, module: DetectorModule, data: PagesData, state: Path | None
) -> None:
    try:
        trainer.fit(module, data, ckpt_path=state, weights_only=True)
    except ProcessRaisedException as error:
        # A spawned process hands over its traceback as text; only its last line is for the user.
        _, is_plain, message = str(error).rpartition("\nValueError: ")
        if not is_plain:
            raise
        raise ValueError(message.strip()) from error
    if distributed.is_available() and distributed.is_initialized():
        # Lightning keeps a launcher's group until the process ends; from here on this process works
        # alone, and must not wait for the others any more.
        distributed.destroy_process_group()


def _conclude(folder: Path, settings: TrainingSettings) -> TrainingResult:
    """Read the result from the last state on disk, because spawned processes may have trained."""
    state = torch.load(folder / LAST_FILE, map_location="cpu", weights_only=True, mmap=True)
    history: list[EpochRow] = state["history"]
    best = best_epochs(history, 1)[0]
    is_early = len(history) < settings.epochs
    result = TrainingResult(
        checkpoint=folder / name_checkpoint(best),
        best_epoch=int(best["epoch"]),
        best_hmean=best.get("hmean"),
        history=history,
        stopped_by=f"{f'patience of {settings.patience}' if is_early else settings.epochs} epochs",
        **state.get("costs", {}),  # states of earlier versions have none
    )
    log.info("%s", _describe(result))
    return result


def _describe(result: TrainingResult) -> str:
    skipped = int(sum(row["skipped_steps"] for row in result.history))
    left_out = f"; {skipped} batches skipped, their loss was not finite" if skipped else ""
    hmean = result.best_hmean
    score = "without validation" if hmean is None else f"H-mean {hmean:.4f}"
    return (
        f"Trained {len(result.history)} epochs (stopped by {result.stopped_by}{left_out}): "
        f"best epoch {result.best_epoch}, {score}, {result.checkpoint}"
    )
