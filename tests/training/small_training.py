"""A training of the tiny recipe on drawn pages, and machines that are lost in the middle of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import Logger

from receipt_ocr.detector.checkpoint import read_checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.training.loop import TrainingResult, train_detector
from receipt_ocr.training.module import DetectorModule


@dataclass
class SmallTraining:
    """Trains in a folder of a test's own; recipe and pages may be exchanged."""

    recipe: Recipe
    training: list[LabelledPage]
    validation: list[LabelledPage]
    parent: Path

    def __call__(
        self, folder: str = "fold_0", logger: Logger | None = None, **changes: Any
    ) -> TrainingResult:
        """Train below the parent folder with some training settings changed."""
        recipe = change(self.recipe, **changes)
        return train_detector(recipe, self.training, self.validation, self.parent / folder, logger)


class MachineLostError(Exception):
    """Stands for a machine that is taken away."""


def change(recipe: Recipe, **training: Any) -> Recipe:
    settings = recipe.training.model_copy(update=training)
    return recipe.model_copy(update={"training": settings})


def lost_in(epoch: int) -> AbstractContextManager[None]:
    """Lose the machine in the middle of an epoch, after its first step."""
    return _lost(epoch, batch=1)


def lost_after(epoch: int) -> AbstractContextManager[None]:
    """Lose the machine as soon as the files of an epoch are written."""
    return _lost(epoch + 1, batch=0)


@contextmanager
def _lost(epoch: int, batch: int) -> Iterator[None]:
    def breaking(self: DetectorModule, _: Any, index: int) -> None:
        if (self.current_epoch, index) == (epoch, batch):
            raise MachineLostError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(MachineLostError):
        patch.setattr(DetectorModule, "on_train_batch_start", breaking)
        yield


def fake_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the epochs' H-means be these."""

    def set_score(self: DetectorModule) -> None:
        self.score = dict.fromkeys(("hmean", "precision", "recall"), values[self.current_epoch])

    monkeypatch.setattr(DetectorModule, "on_validation_epoch_end", set_score)


def learnt(result: TrainingResult) -> list[dict[str, float]]:
    """The history without the seconds that the epochs took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]


def assert_same_weights(one: Path, other: Path) -> None:
    expected = read_checkpoint(other).state
    for name, value in read_checkpoint(one).state.items():
        assert torch.equal(value, expected[name]), name
