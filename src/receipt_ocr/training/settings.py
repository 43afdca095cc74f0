"""Settings of the final fit; light to import.

A fold's training has its settings in its recipe, see :mod:`receipt_ocr.detector.settings`.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from receipt_ocr.config import Config, Positive, PositiveInt


class FurtherData(Config):
    """Another labelled data set, in the competition's layout."""

    folder: str
    """The raw folder; its last part tells its pages from others."""
    subset: Literal["train", "holdout", "test"] = "train"
    weight: Positive = 1.0
    """Average number of visits to each of its pages in an epoch."""


class FinalFitSettings(Config):
    """Training on all labelled pages, once the folds have shown for how long."""

    epochs: PositiveInt | None = None
    """Number of epochs; None takes the median of the folds' best epochs."""
    holdout: bool = True
    """Learn from the holdout pages as well."""
    thresholds: Literal["auto", "tuned", "recipe"] = "auto"
    """Post-processing that was tuned on the folds, or the recipe's; ``auto`` takes the tuned one
    where there is one."""
    further: tuple[FurtherData, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [(Path(data.folder).name, data.subset) for data in self.further]
        if len(set(names)) < len(names):
            folders = [data.folder for data in self.further]
            raise ValueError(f"final_fit.further: the last parts of {folders} must differ")
        return self
