"""The best epochs and the end of patience, on hand-written histories."""

from collections.abc import Sequence

import pytest

from receipt_ocr.detector.settings import Recipe, TrainingSettings
from receipt_ocr.detector.trained import EpochRow
from receipt_ocr.receipts.settings import FrameSettings
from receipt_ocr.training.history import best_epochs, epochs_of_peaks, is_patience_spent


def history(*hmeans: float) -> list[EpochRow]:
    return [{"epoch": float(epoch), "hmean": hmean} for epoch, hmean in enumerate(hmeans)]


def numbers(rows: Sequence[EpochRow]) -> list[float]:
    return [row["epoch"] for row in rows]


def test_the_best_epochs_come_first_with_ties_the_earlier_without_scores_the_latest() -> None:
    assert numbers(best_epochs(history(0.5, 0.7, 0.6, 0.7), 3)) == [1, 3, 2]
    assert numbers(best_epochs(history(0.0, 0.0), 1)) == [0]
    assert numbers(best_epochs(history(0.5), 3)) == [0]
    assert best_epochs([], 3) == []
    without_validation = [{"epoch": float(epoch), "loss": 1.0} for epoch in range(4)]
    assert numbers(best_epochs(without_validation, 2)) == [3, 2]


@pytest.mark.parametrize(
    ("hmeans", "is_spent"),
    [
        ([], False),
        ([0.9, 0.1, 0.1, 0.1], False),  # only one epoch at the final size so far
        ([0.9, 0.1, 0.1, 0.1, 0.1], False),
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.1], True),  # epoch 3 was the best, two passed since
        ([0.9, 0.1, 0.1, 0.1, 0.2, 0.1], False),
        ([0.9, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2], True),  # an equal score is no progress
        ([0.0, 0.0, 0.0, 0.3, 0.2, 0.4, 0.3], False),
    ],
)
def test_patience_counts_epochs_since_the_best_at_the_final_size(
    hmeans: list[float], is_spent: bool
) -> None:
    recipe = Recipe(
        frame=FrameSettings(sizes={0: 32, 1: 64, 3: 96}), training=TrainingSettings(patience=2)
    )
    assert is_patience_spent(history(*hmeans), recipe) is is_spent


@pytest.mark.parametrize(("peaks", "epochs"), [([7], 8), ([7, 3, 9], 8), ([2, 9], 10)])
def test_the_folds_peaks_say_how_long_to_train(peaks: list[int], epochs: int) -> None:
    assert epochs_of_peaks(peaks) == epochs
