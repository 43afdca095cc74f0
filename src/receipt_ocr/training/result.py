"""The result of a finished training, and the note of it in the training's folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receipt_ocr.detector.trained import EpochRow
from receipt_ocr.training.work_folder import RESULT_FILE, WorkFolder

DECODED_PAGES = "decoded_pages"
"""Sub-folder of pages at training size; it exists only while a training goes on."""


@dataclass(frozen=True)
class TrainingResult:
    """The end of a finished training."""

    checkpoint: Path
    """File of the epoch with the best H-mean; of the last one where there is no validation."""
    best_epoch: int
    best_hmean: float | None
    """Page-mean CLEval H-mean on the validation pages; None without any."""
    history: list[EpochRow]
    stopped_by: str
    inference_seconds_per_page: float | None = None
    """Network and decoding in the last validation, the median; None without validation pages."""
    peak_memory_mib: float | None = None
    """Memory of the GPU where one is used, else of the process; None where not measured."""


def write_result(work: WorkFolder, result: TrainingResult) -> None:
    """Note that the training is finished, and delete its decoded pages."""
    _check_exists(result.checkpoint)
    write_json(work, RESULT_FILE, {**vars(result), "checkpoint": result.checkpoint.name})
    shutil.rmtree(work.path / DECODED_PAGES, ignore_errors=True)


def read_result(folder: Path) -> TrainingResult | None:
    """Read the note of a finished training; None if there is none.

    Raises:
        FileNotFoundError: If the training is finished but the best epoch's checkpoint is gone.
    """
    file = folder / RESULT_FILE
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    # The file's name alone is stored, so that the folder may be moved.
    checkpoint = folder / content["checkpoint"]
    _check_exists(checkpoint)
    return TrainingResult(**{**content, "checkpoint": checkpoint})


def write_json(work: WorkFolder, name: str, content: dict[str, Any]) -> None:
    """Write a JSON file into a training's folder, whole or not at all, and publish it."""
    file = work.path / name
    partial = file.with_name(f"{name}.partial")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(file)
    work.publish([name])


def _check_exists(checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"the training is finished but its best checkpoint {checkpoint} is gone; start over "
            "with --params resume=false"
        )
