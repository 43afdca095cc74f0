"""The folder of one training: whose it is, what it holds, and what its end was."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from receipt_ocr.detector.checkpoint import EpochRow
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.training.work_folder import IDENTITY_FILE, RESULT_FILE, WorkFolder

__all__ = [
    "DECODED_PAGES",
    "LAST_FILE",
    "TrainingResult",
    "check_folder",
    "claim_folder",
    "hold_folder",
    "identify",
    "read_result",
    "write_result",
]

DECODED_PAGES = "decoded_pages"
"""Sub-folder of pages at training size; only while a training goes on."""

LAST_FILE = "last.ckpt"
"""Everything needed to go on; the files of single epochs hold what is needed to predict."""

NOT_PART_OF_THE_RESULT = {
    "resume",
    "workers",
    "threads",
    "cache_mib",
    "compile",
    "accelerator",
    "strategy",
    "kept_checkpoints",
}
"""Training settings that may change between a start and its resumption."""


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves.

    Attributes:
        checkpoint: File of the epoch with the best H-mean; of the last one in a training that
            was not judged.
        best_epoch: From 0.
        best_hmean: Page-mean CLEval H-mean on the validation pages; None if it was not judged.
        history: One row an epoch: loss parts, learning rate, size, skipped steps, and precision,
            recall and hmean of a training that was judged.
        stopped_by: Why no further epoch was trained.
    """

    checkpoint: Path
    best_epoch: int
    best_hmean: float | None
    history: list[EpochRow]
    stopped_by: str


def identify(
    recipe: Recipe, training: Sequence[LabelledPage], validation: Sequence[LabelledPage]
) -> dict[str, Any]:
    """Everything that must be the same for a training to be resumed."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "training_pages": _fingerprint(training),
        "validation_pages": _fingerprint(validation),
    }


def check_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Refuse a folder that is no training's, or that holds epochs of another training.

    Raises:
        ValueError: With the first difference, and what to do.
    """
    file = folder / IDENTITY_FILE
    has_content = folder.is_dir() and any(f.suffix != ".partial" for f in folder.iterdir())
    if has_content and not file.is_file():
        raise ValueError(
            f"{folder} holds something else than a training (no {IDENTITY_FILE}); "
            "choose an empty folder"
        )
    if not resume or not _trained_files(folder):  # nothing to go on from
        return
    earlier = json.loads(file.read_text(encoding="utf-8"))
    earlier["recipe"] = _complete(earlier["recipe"], identity["recipe"])
    difference = _first_difference(earlier, identity)
    if difference is not None:
        raise ValueError(
            f"{folder} holds a training with other settings or pages (first difference: "
            f"{difference}); choose another experiment name, or start over with "
            "--params resume=false, which deletes it"
        )


def claim_folder(work: WorkFolder, identity: dict[str, Any], *, resume: bool) -> None:
    """Make the folder this training's own, so that states of two settings never mix.

    Results that another training in this folder has led to are removed.
    """
    folder = work.path
    if not resume or not (folder / LAST_FILE).exists():
        work.discard_results()
    with work.lock():
        if not resume:
            earlier = _trained_files(folder)
            work.discard(file.name for file in earlier)
            for file in [*earlier, *folder.glob("*.ckpt.partial")]:
                file.unlink()
            shutil.rmtree(folder / DECODED_PAGES, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / IDENTITY_FILE, identity)
        work.publish([IDENTITY_FILE])


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from training in a folder meanwhile.

    Raises:
        ValueError: If one does already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"another process is training in {folder}; wait for it or end it. One training on "
            "several devices is started by training.devices, or by torchrun"
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_result(work: WorkFolder, result: TrainingResult) -> None:
    """Note the end of the training, and give back the room of its decoded pages.

    Raises:
        FileNotFoundError: If the best epoch's checkpoint is not there.
    """
    _existing(result.checkpoint)
    content = {**vars(result), "checkpoint": result.checkpoint.name}
    _write_json(work.path / RESULT_FILE, content)
    work.publish([RESULT_FILE])
    shutil.rmtree(work.path / DECODED_PAGES, ignore_errors=True)


def read_result(folder: Path) -> TrainingResult | None:
    """The noted end of the training; None if it is not finished.

    Raises:
        FileNotFoundError: If it is, but the best epoch's checkpoint is gone.
    """
    file = folder / RESULT_FILE
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return TrainingResult(**{**content, "checkpoint": _existing(folder / content["checkpoint"])})


def _trained_files(folder: Path) -> list[Path]:
    """What an earlier training left that is worth keeping, the note of its end first."""
    files = [folder / RESULT_FILE, folder / LAST_FILE, *folder.glob("epoch=*.ckpt")]
    return [file for file in files if file.is_file()]


def _complete(earlier: object, now: dict[str, Any]) -> object:
    """An earlier version's settings, with the values that it had no names for yet."""
    try:
        return Recipe.model_validate(earlier).model_dump(mode="json")
    except ValueError:  # it had names that are gone: the difference will name them
        return earlier if isinstance(earlier, dict) else now


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
        if page.weight != 1.0:
            digest.update(f" {page.weight}".encode())
        for polygon in page.polygons:
            digest.update(polygon.tobytes())
    return digest.hexdigest()[:16]


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
