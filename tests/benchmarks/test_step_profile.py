"""The profile of a training: all parts, and shares that add up."""

import pytest

from benchmarks.step_profile import SAMPLE_PARTS, profile_training
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage


def test_a_profile_shows_every_part_of_samples_steps_and_validation(
    recipe: Recipe, training_pages: list[LabelledPage]
) -> None:
    rows = profile_training(recipe, training_pages, steps=2)
    parts = {group: [r.name for r in rows if r.group == group] for group in {r.group for r in rows}}
    assert parts == {
        "sample": [*SAMPLE_PARTS, "the rest", "all"],
        "step": ["to the device", "forward", "loss", "backward", "optimiser", "all"],
        "validation": ["photo to frame", "forward", "decode and score", "all"],
    }
    for group in parts:
        *single, whole = [row for row in rows if row.group == group]
        assert sum(row.milliseconds for row in single) == pytest.approx(whole.milliseconds)
        assert sum(row.share for row in single) == pytest.approx(whole.share) == 1.0
    assert all(row.milliseconds > 0 for row in rows)


def test_fewer_pages_than_a_batch_are_taken_again(
    recipe: Recipe, training_pages: list[LabelledPage]
) -> None:
    assert profile_training(recipe, training_pages[:1], steps=1)
