"""Settings of the search for post-processing; light to import."""

from typing import Annotated

from pydantic import Field, field_validator

from receipt_ocr.config import (
    Config,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Probability,
)


class RefineSettings(Config):
    """A search by Optuna over continuous values around the best point of a grid."""

    trials: NonNegativeInt = 0
    """Points to try; 0 leaves the grid's choice as it is."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the sampler: the same seed, the same points."""


class GridSettings(Config):
    """The post-processing settings that a search tries: every combination of the values."""

    thresh: Annotated[tuple[Probability, ...], Field(min_length=1)] = (0.15, 0.22, 0.29, 0.36, 0.45)
    """Maps have 8 bits: steps finer than 1/255 change nothing."""
    box_thresh: Annotated[tuple[Probability, ...], Field(min_length=1)] = (0.25, 0.4, 0.5, 0.6)
    """These and the next three as in the recipe's post-processing."""
    unclip_ratio: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.4, 1.6, 1.8, 2.0, 2.2)
    """Growth of kernels into words."""
    max_candidates: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (600,)
    """Candidates a page."""
    min_size: Annotated[tuple[NonNegative, ...], Field(min_length=1)] | None = None
    """None keeps the recipe's."""
    workers: PositiveInt = 1
    """Processes that share the pages; 1 searches in the calling process."""
    refine: RefineSettings = RefineSettings()
    """The search between the values of the grid, which starts from its best point."""

    @field_validator("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")
    @classmethod
    def _values_differ(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if values is not None and len(set(values)) < len(values):
            raise ValueError(f"each value must occur once, got {values}")
        return values
