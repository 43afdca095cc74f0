"""Training of one fold: from labelled pages to the best checkpoint and the history."""

import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger

from receipt_ocr.detector.callbacks import LAST_FILE, EpochBar, EpochFiles
from receipt_ocr.detector.history import EpochRow, best_epochs, checkpoint_name
from receipt_ocr.detector.loading import PagesData
from receipt_ocr.detector.module import DetectorModule
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.samples import LabelledPage

__all__ = ["TrainingResult", "train_detector"]

log = logging.getLogger(__name__)

IDENTITY_FILE = "settings.json"
RESULT_FILE = "finished.json"
NOT_PART_OF_THE_RESULT = {
    "resume",
    "workers",
    "threads",
    "accelerator",
    "devices",
    "kept_checkpoints",
}
"""Training settings that may change between a start and its resumption."""

HARMLESS_WARNINGS = (
    r".*does not have many workers",  # 0 is a choice, and the right one on a small machine
    r".*isinstance\(treespec, LeafSpec\)",  # between Lightning and torch
    r".*`isinstance\(treespec",
)


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves.

    Attributes:
        checkpoint: File of the epoch with the best H-mean.
        best_epoch: From 0.
        best_hmean: Page-mean CLEval H-mean on the validation pages.
        history: One row an epoch: loss parts, learning rate, size, precision, recall, hmean.
        stopped_by: Why no further epoch was trained.
    """

    checkpoint: Path
    best_epoch: int
    best_hmean: float
    history: list[EpochRow]
    stopped_by: str


def train_detector(
    recipe: Recipe,
    training: Sequence[LabelledPage],
    validation: Sequence[LabelledPage],
    folder: Path,
    logger: Logger | None = None,
) -> TrainingResult:
    """Train one detector, or go on where an earlier run of the same settings stopped.

    Args:
        recipe: What to train and how.
        training: Pages to learn from.
        validation: Pages to judge every epoch by; none of them may be a training page.
        folder: For checkpoints; holds the state to resume from.
        logger: A Lightning logger that receives every epoch's figures.

    With ``training.resume`` false the folder's earlier training is deleted, once the new one is
    ready to start.

    Raises:
        ValueError: If pages are missing or stand on both sides, ``folder`` holds something else
            than the training of these settings and pages, the machine lacks the accelerator, or
            the loss stops being a number.
        FileNotFoundError: If the training is finished but the best epoch's checkpoint is gone.
    """
    if shared := {page.name for page in training} & {page.name for page in validation}:
        raise ValueError(f"page {min(shared)!r} would be trained on and judged by")
    data = PagesData(training, validation, recipe)
    identity = _identify(recipe, training, validation)
    _check_folder(folder, identity, resume=recipe.training.resume)
    if recipe.training.resume and (finished := _read_result(folder)) is not None:
        log.info("Training in %s is finished already; resume=false would repeat it", folder)
        return finished
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    lightning.seed_everything(recipe.training.seed, workers=True, verbose=False)
    module = DetectorModule(recipe, validation, data.steps_per_epoch)
    if recipe.training.channels_last:
        module.network.to(memory_format=torch.channels_last)
    last = folder / LAST_FILE
    with _quiet_lightning():
        trainer = _build_trainer(recipe, folder, logger)
        # Only now: a training that cannot start must neither claim the folder nor empty it.
        _claim_folder(folder, identity, resume=recipe.training.resume)
        trainer.fit(module, data, ckpt_path=last if last.exists() else None, weights_only=True)
    return _write_result(folder, module.history, recipe)


def _build_trainer(recipe: Recipe, folder: Path, logger: Logger | None) -> lightning.Trainer:
    settings = recipe.training
    callbacks: list[lightning.Callback] = [EpochFiles(folder, settings.kept_checkpoints)]
    has_bar = sys.stdout.isatty()  # elsewhere the module logs one line an epoch
    if has_bar:
        callbacks.append(EpochBar(refresh_rate=5))
    try:
        return lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            precision=settings.precision,
            gradient_clip_val=settings.gradient_clip,
            callbacks=callbacks,
            logger=logger or False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
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


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in HARMLESS_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


def _identify(
    recipe: Recipe, training: Sequence[LabelledPage], validation: Sequence[LabelledPage]
) -> dict[str, Any]:
    """Everything that must be the same for a training to be resumed."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "training_pages": _fingerprint(training),
        "validation_pages": _fingerprint(validation),
    }


def _check_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Refuse a folder that is no training's, or that holds epochs of another training."""
    file = folder / IDENTITY_FILE
    has_content = folder.is_dir() and any(f.suffix != ".partial" for f in folder.iterdir())
    if has_content and not file.is_file():
        raise ValueError(
            f"{folder} holds something else than a training (no {IDENTITY_FILE}); "
            "choose an empty folder"
        )
    if not resume or not _trained_files(folder):  # nothing to go on from
        return
    difference = _first_difference(json.loads(file.read_text(encoding="utf-8")), identity)
    if difference is not None:
        raise ValueError(
            f"{folder} holds a training with other settings or pages (first difference: "
            f"{difference}); choose another experiment name, or start over with "
            "--params resume=false, which deletes it"
        )


def _claim_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Make the folder this training's own, so that states of two settings never mix."""
    if not resume:
        for file in [*_trained_files(folder), *folder.glob("*.ckpt.partial")]:
            file.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / IDENTITY_FILE, identity)


def _trained_files(folder: Path) -> list[Path]:
    """What an earlier training left that is worth keeping, the note of its end first."""
    files = [folder / RESULT_FILE, folder / LAST_FILE, *folder.glob("epoch=*.ckpt")]
    return [file for file in files if file.is_file()]


def _first_difference(old: object, new: object, key: str = "") -> str | None:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return None if old == new else f"{key} was {old}, now {new}"
    for name in sorted(old.keys() | new.keys()):
        if name in NOT_PART_OF_THE_RESULT:
            continue
        inner = _first_difference(old.get(name), new.get(name), f"{key}.{name}".strip("."))
        if inner is not None:
            return inner
    return None


def _fingerprint(pages: Sequence[LabelledPage]) -> str:
    # The file's size stands for its content; its time would change with every copy. A missing
    # file is named when it is read.
    digest = hashlib.sha256()
    for page in pages:
        size = page.path.stat().st_size if page.path.is_file() else None
        digest.update(f"\n{page.name} {page.width} {page.height} {size} {page.ignored}".encode())
        for polygon in page.polygons:
            digest.update(polygon.tobytes())
    return digest.hexdigest()[:16]


def _write_result(folder: Path, history: list[EpochRow], recipe: Recipe) -> TrainingResult:
    settings = recipe.training
    best = best_epochs(history, 1)[0]
    stopped_early = len(history) < settings.epochs
    result = TrainingResult(
        checkpoint=_existing(folder / checkpoint_name(best)),
        best_epoch=int(best["epoch"]),
        best_hmean=best["hmean"],
        history=history,
        stopped_by=f"{'patience of ' if stopped_early else ''}"
        f"{settings.patience if stopped_early else settings.epochs} epochs",
    )
    _write_json(folder / RESULT_FILE, {**vars(result), "checkpoint": result.checkpoint.name})
    log.info(
        "Trained %d epochs (stopped by %s): best epoch %d, H-mean %.4f, %s",
        len(history),
        result.stopped_by,
        result.best_epoch,
        result.best_hmean,
        result.checkpoint,
    )
    return result


def _read_result(folder: Path) -> TrainingResult | None:
    file = folder / RESULT_FILE
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return TrainingResult(**{**content, "checkpoint": _existing(folder / content["checkpoint"])})


def _existing(checkpoint: Path) -> Path:
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"the training is finished but its best checkpoint {checkpoint} is gone; start over "
            "with --params resume=false"
        )
    return checkpoint


def _write_json(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(file)
