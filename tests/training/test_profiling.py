"""The profile: all parts, shares that add up, and no page needed twice."""

import pytest

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.training.profiling import SAMPLE_PARTS, profile_training


def test_a_profile_shows_every_part_of_samples_steps_and_validation(
    recipe: Recipe, training_pages: list[LabelledPage]
) -> None:
    rows = profile_training(recipe, training_pages, steps=2)
    parts = {group: [r.part for r in rows if r.group == group] for group in {r.group for r in rows}}
    assert parts == {
        "sample": [*SAMPLE_PARTS, "the rest", "all"],
        "step": ["to the device", "forward", "loss", "backward", "optimiser", "all"],
        "validation": ["photo to frame", "forward", "decode and score", "all"],
    }
    for group in parts:
        *single, whole = [row for row in rows if row.group == group]
        assert sum(row.milliseconds for row in single) == pytest.approx(whole.milliseconds)
        assert sum(row.share for row in single) == pytest.approx(whole.share) == 1.0
    # Without changes of colour there is hardly a cost; everything else takes its time.
    assert all(row.milliseconds > 0 for row in rows)


def test_fewer_pages_than_a_batch_are_taken_again(
    recipe: Recipe, training_pages: list[LabelledPage]
) -> None:
    assert profile_training(recipe, training_pages[:1], steps=1)
    with pytest.raises(ValueError, match="needs labelled pages"):
        profile_training(recipe, [], steps=1)
