"""Where a training is resumed: whether a folder's training may go on, and from which state.

A folder belongs to one training. ``settings.json`` in it holds the recipe and the fingerprints of
the pages: a training of the same ones goes on there, any other one is refused.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.training.checkpoints import LAST_FILE
from receipt_ocr.training.result import DECODED_PAGES, write_json
from receipt_ocr.training.work_folder import IDENTITY_FILE, RESULT_FILE, WorkFolder

_MAY_CHANGE = {
    *("resume", "workers", "threads", "cache_mib", "compile", "accelerator", "strategy"),
    "kept_checkpoints",
}
"""Training settings that may differ between a start and its resumption: they change how a
training runs, not what it learns."""


def identify(
    recipe: Recipe, training: Sequence[LabelledPage], validation: Sequence[LabelledPage]
) -> dict[str, Any]:
    """Collect everything that must be the same for a training to be resumed."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "training_pages": _fingerprint(training),
        "validation_pages": _fingerprint(validation),
    }


def find_state(folder: Path, *, resume: bool) -> Path | None:
    """Find the state to go on from; None where the training starts from the first epoch."""
    last = folder / LAST_FILE
    return last if resume and last.exists() else None


def check_folder(folder: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Refuse a folder that is not a training's, or that holds epochs of another training."""
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
    earlier["recipe"] = _add_new_settings(earlier["recipe"], identity["recipe"])
    if difference := _first_difference(earlier, identity):
        raise ValueError(
            f"{folder} holds a training with other settings or pages (first difference: "
            f"{difference}); choose another experiment name, or start over with "
            "--params resume=false, which deletes it"
        )


def claim_folder(work: WorkFolder, identity: dict[str, Any], *, resume: bool) -> None:
    """Make the folder this training's own, so that states of two settings never mix.

    A training from the first epoch on removes what an earlier one in this folder has led to, such
    as the maps that its detector predicted.
    """
    folder = work.path
    if find_state(folder, resume=resume) is None:
        work.discard_results()
    with work.lock():
        if not resume:
            earlier = _trained_files(folder)
            work.discard(file.name for file in earlier)
            for file in [*earlier, *folder.glob("*.ckpt.partial")]:
                file.unlink()
            shutil.rmtree(folder / DECODED_PAGES, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(work, IDENTITY_FILE, identity)


def hold_folder(folder: Path) -> AbstractContextManager[object]:
    """Keep other processes of this machine from training in a folder meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder: a lock inside would count as content that is no training's.
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"another process is training in {folder}; wait for it or end it. One training on "
            "several devices is started by training.devices, or by torchrun"
        ) from error


def _trained_files(folder: Path) -> list[Path]:
    """List what an earlier training left that is worth keeping.

    The note of its end comes first: deleting in this order never leaves a training that says it
    is finished without its checkpoint.
    """
    files = [folder / RESULT_FILE, folder / LAST_FILE, *folder.glob("epoch=*.ckpt")]
    return [file for file in files if file.is_file()]


def _add_new_settings(earlier: object, now: dict[str, Any]) -> object:
    """Complete an earlier version's recipe with the defaults of settings that came later."""
    try:
        return Recipe.model_validate(earlier).model_dump(mode="json")
    except ValueError:  # it has settings that are gone: the difference will name them
        return earlier if isinstance(earlier, dict) else now


def _first_difference(old: object, new: object, key: str = "") -> str | None:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return None if old == new else f"{key} was {old}, now {new}"
    for name in sorted((old.keys() | new.keys()) - _MAY_CHANGE):
        if inner := _first_difference(old.get(name), new.get(name), f"{key}.{name}".strip(".")):
            return inner
    return None


def _fingerprint(pages: Sequence[LabelledPage]) -> str:
    # The file's size stands for its content; its time would change with every copy. A missing
    # file is named when it is read.
    digest = hashlib.sha256()
    for page in pages:
        size = page.path.stat().st_size if page.path.is_file() else None
        digest.update(f"\n{page.name} {page.width} {page.height} {size} {page.ignored}".encode())
        if page.weight != 1.0:  # left out of the usual case: fingerprints of earlier versions hold
            digest.update(f" {page.weight}".encode())
        for polygon in page.polygons:
            digest.update(polygon.tobytes())
    return digest.hexdigest()[:16]
