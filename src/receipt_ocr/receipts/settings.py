"""Settings of ingestion, folds, frames, targets and augmentation; light to import."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from receipt_ocr.config import (
    Config,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Probability,
)

FOLD_COUNT = 5
"""Number of cross-validation folds; a constant, not a setting, because it shapes the graph."""

STRIDE = 32
"""Coarsest stride of an encoder; the sides of a frame are multiples of it."""

SUBSETS = {"train": "train", "holdout": "val", "test": "test"}
"""Our name of a subset -> the name of its image folder and JSON file in the raw data."""


class IngestionSettings(Config):
    """Limits of what ingestion mends and rejects."""

    clip_margin: NonNegative = 16.0
    """A point this far outside the page (upright pixels) is clipped to it; farther is rejected."""
    unrotated_polygons: Literal["reject", "rotate"] = "reject"
    """Treatment of a page whose polygons fit only the pixels as stored, before EXIF turned
    them: reject its annotation, or turn its polygons with the page."""


class SplittingSettings(Config):
    """Rules by which pages are dealt to folds."""

    seed: NonNegativeInt = 42
    """The same seed gives the same folds."""
    strata_per_feature: PositiveInt = 3
    """Number of quantile bins for each of word count, text height and page shape."""
    duplicate_distance: NonNegativeInt = 80
    """Pages are near-duplicates if their hashes differ in at most this many of 1024 bits.

    Measured on scanned receipts: copies that were re-encoded, resized or brightened differ by 20
    to 90 bits, different receipts of one shop by 110 and more."""


class SizeStage(Config):
    """The size of training pages from some epoch on."""

    epoch: NonNegativeInt
    """The first epoch of the stage; epochs count from 0."""
    size: PositiveInt
    """Longest side of the resized page in pixels."""


class FrameSettings(Config):
    """Sizes and shape of the frame that a page is scaled into."""

    sizes: tuple[SizeStage, ...] = (SizeStage(epoch=0, size=640), SizeStage(epoch=4, size=960))
    """Progressive resolution; a mapping ``{epoch: size}`` is accepted as well."""
    shape: Literal["square", "page"] = "square"
    """``square``: the contest's letterbox. ``page``: padded only to a multiple of 32; a training
    batch is padded to the largest of its pages, which have similar shapes."""
    crop: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the window cut for training; None trains on whole frames."""

    @field_validator("sizes", mode="before")
    @classmethod
    def _list_stages(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return [{"epoch": epoch, "size": size} for epoch, size in value.items()]
        return value

    @model_validator(mode="after")
    def _frames_fit_the_network(self) -> "FrameSettings":
        epochs = [stage.epoch for stage in self.sizes]
        if epochs[:1] != [0] or epochs != sorted(set(epochs)):
            raise ValueError(f"the epochs of sizes must rise from 0, got {epochs}")
        sides = [*(stage.size for stage in self.sizes), *(self.crop or ())]
        if odd := [side for side in sides if side % STRIDE]:
            raise ValueError(f"sizes and crop must be multiples of {STRIDE}, got {odd[0]}")
        return self

    @property
    def last_switch(self) -> int:
        """Epoch from which pages have their final size."""
        return self.sizes[-1].epoch

    @property
    def final_size(self) -> int:
        """Longest side at validation, prediction and the end of training."""
        return self.sizes[-1].size

    def size_at(self, epoch: int) -> int:
        """Longest side of a training page at this epoch."""
        return [stage.size for stage in self.sizes if stage.epoch <= epoch][-1]


class TargetSettings(Config):
    """The DBNet targets (Liao et al., 2020, sections 3.4 and 3.5)."""

    shrink_ratio: Probability = 0.4
    """A word shrinks to its kernel by ``area * (1 - shrink_ratio^2) / perimeter`` pixels."""
    threshold_low: Probability = 0.3
    """Value of the threshold map away from all outlines."""
    threshold_high: Probability = 0.7
    """Value of the threshold map on a word's outline."""
    min_height: NonNegative = 3.0
    """A word is masked if a side of its bounding box is under this many frame pixels."""


class PixelTransform(Config):
    """An albumentations colour transform, by its class name and with its own arguments.

    All further keys are arguments: ``{name: ImageCompression, p: 0.3, quality_range: [60, 95]}``.
    `receipt_ocr.receipts.colours.check_pixels` checks them.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    name: str
    """A class of albumentations, such as ``MotionBlur``."""
    p: Probability = 0.5
    """Chance that a sample is changed."""

    @property
    def arguments(self) -> dict[str, JsonValue]:
        """All keys but ``name`` and ``p``."""
        return dict(self.__pydantic_extra__)


class AugmentationSettings(Config):
    """Random changes of a training page; 0 switches each of them off.

    Geometry comes first (mirrors, quarter turns, perspective, rotation, scale, window), then
    colours (brightness, contrast, blur, and `pixels` in their order).
    """

    horizontal_flip: Probability = 0.5
    """Chance that the page is mirrored left to right."""
    vertical_flip: Probability = 0.0
    """Chance that the page is mirrored top to bottom."""
    quarter_turns: Probability = 0.0
    """Chance of a turn by 90, 180 or 270 degrees, all equally likely."""
    rotation: NonNegative = 0.0
    """Largest turn in degrees, in either direction."""
    scale_low: Positive = 1.0
    """The page is resized by a factor drawn between this and ``scale_high``."""
    scale_high: Positive = 1.0
    perspective: Annotated[float, Field(ge=0.0, le=0.15)] = 0.0
    """Each corner of the page is shifted by up to this share of the page's width and height.

    From 0.25 on, three corners could fall on one line, and the page would reach the horizon; up
    to 0.15, no part of the page is more than four times as far away as another."""
    cut_words: Literal["clip", "mask", "keep"] = "clip"
    """Treatment of a word that the window cuts: take its visible part for the word, mask it
    as don't-care, or keep it whole, reaching beyond the window."""
    min_visible: Probability = 0.3
    """Under clip and keep, a word is masked if less than this share of its area, measured in
    window pixels, is visible."""
    brightness: Probability = 0.0
    """Largest change, as a share of the full range of values."""
    contrast: Probability = 0.0
    """Largest change, as a share of the contrast."""
    blur: Probability = 0.0
    """Chance of a light Gaussian blur."""
    pixels: tuple[PixelTransform, ...] = ()
    """Further colour transforms of albumentations."""

    @model_validator(mode="after")
    def _scales_are_ordered(self) -> "AugmentationSettings":
        if self.scale_low > self.scale_high:
            raise ValueError(
                f"scale_low must not exceed scale_high, got {self.scale_low} > {self.scale_high}"
            )
        return self
