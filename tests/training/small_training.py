"""A training of the tiny recipe on drawn pages, and machines that are lost in the middle of it."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def lost_in(epoch: int) -> Iterator[None]:
    """Lose the machine in the middle of an epoch, after its first step."""
    step = DetectorModule.training_step

    def breaking(self: DetectorModule, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == epoch and index == 1:
            raise MachineLostError
        return step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(MachineLostError):
        patch.setattr(DetectorModule, "training_step", breaking)
        yield


@contextmanager
def lost_after(epoch: int) -> Iterator[None]:
    """Lose the machine as soon as the files of an epoch are written."""
    start = DetectorModule.on_train_epoch_start

    def breaking(self: DetectorModule) -> None:
        if self.current_epoch == epoch + 1:
            raise MachineLostError
        start(self)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(MachineLostError):
        patch.setattr(DetectorModule, "on_train_epoch_start", breaking)
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
