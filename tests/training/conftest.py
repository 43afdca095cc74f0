"""Fixtures of the tests of training."""

from pathlib import Path

import pytest

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage
from tests.training.small_training import SmallTraining


@pytest.fixture
def train(
    recipe: Recipe,
    training_pages: list[LabelledPage],
    validation_pages: list[LabelledPage],
    tmp_path: Path,
) -> SmallTraining:
    """Two epochs of a tiny network on five drawn pages, in folders of the test's own."""
    return SmallTraining(recipe, training_pages, validation_pages, tmp_path)
