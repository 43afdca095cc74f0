"""The figures of a training's epochs, and every decision that follows from them.

A history travels with each checkpoint. Which epochs are kept and when to stop depends on nothing
else, so that a resumed training decides as an unbroken one does, also in a folder that was moved.
"""

from collections.abc import Sequence

from receipt_ocr.detector.checkpoint import EpochRow
from receipt_ocr.detector.settings import Recipe

__all__ = [
    "best_epochs",
    "checkpoint_name",
    "describe_epoch",
    "epochs_of_peaks",
    "format_duration",
    "is_patience_spent",
]


def best_epochs(history: Sequence[EpochRow], count: int) -> list[EpochRow]:
    """The rows with the highest H-mean, best first; of equal ones the earlier.

    Of a training that is not judged the latest ones.
    """
    return sorted(history, key=_rank)[:count]


def epochs_of_peaks(best: Sequence[int]) -> int:
    """How many epochs a training that nothing judges should have.

    Args:
        best: The best epoch of each fold, from 0; at least one.

    Returns:
        Their median (of two in the middle the later one) as a number of epochs.
    """
    return sorted(best)[len(best) // 2] + 1


def is_patience_spent(history: Sequence[EpochRow], recipe: Recipe) -> bool:
    """Whether as many epochs as the patience have passed since the best one.

    Only epochs at the final size count: a step back after a switch of sizes is expected.
    """
    final = [row for row in history if row["epoch"] >= recipe.frame.last_switch]
    if not final:
        return False
    waited = final[-1]["epoch"] - best_epochs(final, 1)[0]["epoch"]
    return waited >= recipe.training.patience


def checkpoint_name(row: EpochRow) -> str:
    """File name of an epoch's checkpoint."""
    score = f"-hmean={row['hmean']:.4f}" if "hmean" in row else ""
    return f"epoch={int(row['epoch']):02d}{score}.ckpt"


def describe_epoch(row: EpochRow, epochs: int, seconds: float) -> str:
    """One line for a log.

    Args:
        row: The epoch's figures.
        epochs: That the training has in all.
        seconds: That this one took.
    """
    score = ""
    if "hmean" in row:
        score = (
            f"precision {row['precision']:.4f}, recall {row['recall']:.4f}, "
            f"H-mean {row['hmean']:.4f}, "
        )
    left = (epochs - 1 - row["epoch"]) * seconds
    ahead = f", at most {format_duration(left)} to go" if left else ""
    return (
        f"Epoch {int(row['epoch'])}/{epochs - 1}: size {int(row['size'])}, "
        f"loss {row['loss']:.4f}, {score}{format_duration(seconds)}{ahead}"
    )


def format_duration(seconds: float) -> str:
    """As people say it: ``42 s``, ``7 min``, ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rank(row: EpochRow) -> tuple[float, float]:
    return (-row["hmean"], row["epoch"]) if "hmean" in row else (0.0, -row["epoch"])
