"""Decisions that follow from the epochs' figures: which are best, when to stop, how long to train.

A history travels with each checkpoint, and nothing else enters these decisions. So a resumed
training decides as an unbroken one does, also in a folder that was moved.
"""

from collections.abc import Sequence

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.trained import EpochRow


def best_epochs(history: Sequence[EpochRow], count: int) -> list[EpochRow]:
    """Choose the highest H-means, the earlier of equal ones first; without any, the latest rows."""
    return sorted(history, key=_rank)[:count]


def epochs_of_peaks(best: Sequence[int]) -> int:
    """Choose how many epochs to train without validation: the median of the folds' best epochs.

    Those are numbered from 0; of two in the middle the later one counts.
    """
    return sorted(best)[len(best) // 2] + 1


def is_patience_spent(history: Sequence[EpochRow], recipe: Recipe) -> bool:
    """Tell whether as many epochs as the patience have passed since the best one.

    Only epochs at the final size count: a step back after a switch of sizes is expected.
    """
    final = [row for row in history if row["epoch"] >= recipe.frame.last_switch]
    best = best_epochs(final, 1)
    return bool(best) and final[-1]["epoch"] - best[0]["epoch"] >= recipe.training.patience


def _rank(row: EpochRow) -> tuple[float, float]:
    return (-row["hmean"], row["epoch"]) if "hmean" in row else (0.0, -row["epoch"])
