"""Whether a training takes more memory from epoch to epoch, in a process of its own."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.memory import STATUS, read_status
from benchmarks.sroie import has_receipts, read_pages, read_recipe

EPOCHS = 7
PAGES = 48
"""Twelve steps an epoch: the C library's heap needs some 25 steps to be as torn as it gets."""


def measure_flatness(sroie: Path, pages: int = PAGES, epochs: int = EPOCHS) -> list[float]:
    """Peak memory in MiB after each epoch of a training with the recipe of ``conf/sroie``.

    A quarter as many pages are validated on. It is empty where the receipts are not there, or the
    system does not tell (it is read from Linux's ``/proc``).
    """
    if not (has_receipts(sroie) and STATUS.exists()):
        return []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_train, sroie, pages, epochs).result()


def _train(sroie: Path, count: int, epochs: int) -> list[float]:
    # Imported here: the process that asks needs no Lightning.
    from receipt_ocr.training.loop import train_detector  # noqa: PLC0415
    from receipt_ocr.training.module import DetectorModule  # noqa: PLC0415

    peaks: list[float] = []
    end_epoch = DetectorModule.on_train_epoch_end

    def note_peak(self: DetectorModule) -> None:
        end_epoch(self)
        # Not getrusage: there a process starts with the peak of the one that started it.
        peaks.append(read_status("VmHWM") / 1024.0)

    DetectorModule.on_train_epoch_end = note_peak  # type: ignore[method-assign]
    recipe = read_recipe()
    settings = recipe.training.model_copy(update={"epochs": epochs, "patience": epochs})
    pages = read_pages(sroie, "train")[: count + max(1, count // 4)]
    recipe = recipe.model_copy(update={"training": settings})
    with TemporaryDirectory() as folder:
        train_detector(recipe, pages[:count], pages[count:], Path(folder) / "training")
    return peaks
