"""The figures of a training's epochs, and every decision that follows from them.

A history travels with each checkpoint. Which epochs are kept and when to stop depends on nothing
else, so that a resumed training decides as an unbroken one does, also in a folder that was moved.
"""

from collections.abc import Sequence

from receipt_ocr.detector.settings import Recipe

__all__ = ["EpochRow", "best_epochs", "checkpoint_name", "describe_epoch", "is_patience_spent"]

EpochRow = dict[str, float]
"""``epoch``, ``loss`` and its three terms, ``learning_rate``, ``size``, ``precision``, ``recall``
and ``hmean`` of one epoch."""


def best_epochs(history: Sequence[EpochRow], count: int) -> list[EpochRow]:
    """The rows with the highest H-mean, best first; of equal ones the earlier."""
    return sorted(history, key=lambda row: (-row["hmean"], row["epoch"]))[:count]


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
    return f"epoch={int(row['epoch']):02d}-hmean={row['hmean']:.4f}.ckpt"


def describe_epoch(row: EpochRow, epochs: int, seconds: float) -> str:
    """One line for a log.

    Args:
        row: The epoch's figures.
        epochs: That the training has in all.
        seconds: That this one took.
    """
    return (
        f"Epoch {int(row['epoch'])}/{epochs - 1}: size {int(row['size'])}, "
        f"loss {row['loss']:.4f}, precision {row['precision']:.4f}, recall {row['recall']:.4f}, "
        f"H-mean {row['hmean']:.4f}, {seconds:.0f} s"
    )
