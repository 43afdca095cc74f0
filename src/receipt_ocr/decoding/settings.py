"""Settings of the decoding room; light to import, so that the command line stays fast."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from receipt_ocr.config import Config, NonNegative, Positive, PositiveInt, Probability
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["EnsembleSettings", "GridSettings", "PostprocessSettings"]

Fold = Annotated[int, Field(ge=0, lt=FOLD_COUNT)]


class PostprocessSettings(Config):
    """How a probability map becomes polygons."""

    thresh: Probability = 0.29
    """Binarises the map: text is where the probability is greater."""
    box_thresh: Probability = 0.25
    """Candidates whose mean probability is lower are dropped."""
    unclip_ratio: Positive = 2.0
    """Regrows the shrunk text kernel by ``area * unclip_ratio / perimeter`` pixels."""
    max_candidates: PositiveInt = 600
    """At most this many candidates a page."""
    min_size: NonNegative = 5.0
    """Drops polygons whose minimum-area box has a shorter side under this (map pixels)."""
    shape: Literal["polygon", "box"] = "polygon"
    candidate_order: Literal["score", "contour"] = "score"
    """Who survives ``max_candidates``: the best scores, or the first contours (the contest's)."""


class GridSettings(Config):
    """The post-processing settings that a search tries: every combination of the values."""

    thresh: Annotated[tuple[Probability, ...], Field(min_length=1)] = (0.15, 0.22, 0.29, 0.36, 0.45)
    """Maps have 8 bits: steps finer than 1/255 change nothing."""
    box_thresh: Annotated[tuple[Probability, ...], Field(min_length=1)] = (0.25, 0.4, 0.5, 0.6)
    unclip_ratio: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.4, 1.6, 1.8, 2.0, 2.2)
    max_candidates: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (600,)
    workers: PositiveInt = 1
    """Processes that share the pages; 1 searches in the calling process."""

    @field_validator("thresh", "box_thresh", "unclip_ratio", "max_candidates")
    @classmethod
    def _values_differ(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"each value must occur once, got {values}")
        return values


class EnsembleSettings(Config):
    """Whose maps are averaged, and at which thresholds the mean is read."""

    members: Literal["all"] | tuple[Fold, ...] = "all"
    """Folds that vote: all, or a list; one number and ``"0+2"`` are taken as lists too."""
    weights: tuple[NonNegative, ...] | None = None
    """One number a member in the order of the list; None weighs all the same."""
    thresholds: Literal["auto", "tuned", "recipe"] = "auto"
    """Post-processing found by tuning, or the recipe's; ``auto``: tuned where there is one."""

    @field_validator("members", mode="before")
    @classmethod
    def _list_folds(cls, value: object) -> object:
        if value == "all":
            return value
        given = value.split("+") if isinstance(value, str) else value
        folds = given if isinstance(given, list | tuple) else [given]
        known = [str(fold) for fold in range(FOLD_COUNT)]
        if not all(str(fold) in known for fold in folds):
            raise ValueError(
                f"members must be 'all', a fold from 0 to {FOLD_COUNT - 1} or a list of folds "
                f"(0+2 on the command line), got {value!r}"
            )
        return tuple(int(str(fold)) for fold in folds)

    @model_validator(mode="after")
    def _members_fit_weights(self) -> "EnsembleSettings":
        if not self.folds or len(set(self.folds)) < len(self.folds):
            raise ValueError(f"members must name a fold or more, none twice, got {self.members}")
        if self.weights is not None and len(self.weights) != len(self.folds):
            raise ValueError(
                f"weights must be one a member, got {len(self.weights)} for {len(self.folds)}"
            )
        if self.weights is not None and not sum(self.weights) > 0:
            raise ValueError(f"weights must sum to more than 0, got {list(self.weights)}")
        return self

    @property
    def folds(self) -> tuple[int, ...]:
        """The members as fold numbers."""
        return tuple(range(FOLD_COUNT)) if self.members == "all" else self.members
