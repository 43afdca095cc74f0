"""DBNet (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020).

encoder (any timm backbone) -> decoder (top-down U-Net) -> head (probability and threshold map)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from receipt_ocr.detector.settings import NetworkSettings
from receipt_ocr.detector.weights import read_encoder_weights

__all__ = ["DBNet", "DBNetOutput", "Decoder", "Head", "build_encoder", "build_network"]

STRIDES = (4, 8, 16, 32)


class DBNetOutput(NamedTuple):
    """What the network says of each pixel, each (B, 1, H, W) at the input's resolution.

    Attributes:
        logits: Of the probability map.
        threshold: Threshold map in [0, 1].
        binary: Approximate binary map in [0, 1].
    """

    logits: Tensor
    threshold: Tensor
    binary: Tensor


class DBNet(nn.Module):
    """Encoder, decoder and head, and the normalisation that the encoder was trained with."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        head: "Head",
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        """Compose the parts.

        Args:
            encoder: (B, 3, H, W) -> four feature maps at strides 4, 8, 16, 32.
            decoder: Those four -> one (B, C, H / 4, W / 4).
            head: That one -> logits of the probability and threshold map, (B, 1, H, W) each.
            mean: Of the encoder's training images, RGB in [0, 1].
            std: The same.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> DBNetOutput:
        """Maps for training.

        Args:
            images: (B, 3, H, W) uint8 or float RGB in [0, 255], sides multiples of 32.
        """
        probability, threshold_logits, binary = self.head(self._features(images))
        return DBNetOutput(probability, threshold_logits, binary)

    def predict(self, images: Tensor) -> Tensor:
        """Probability maps, (B, 1, H, W) float32 in [0, 1]; the threshold branch is not run."""
        logits: Tensor = self.head.probability(self._features(images))
        return logits.float().sigmoid()

    def _features(self, images: Tensor) -> Tensor:
        normalised = (images.float() - self.mean) / self.std
        features: Tensor = self.decoder(self.encoder(normalised))
        return features


class Decoder(nn.Module):
    """Top-down U-Net: coarse features are enlarged and added, then all are joined at stride 4."""

    def __init__(self, in_channels: Sequence[int], inner: int, output: int) -> None:
        """Decoder over four levels.

        Args:
            in_channels: Channels of the features at strides 4, 8, 16, 32.
            inner: Channels of the summed levels.
            output: Channels of each level before joining; the result has four times as many.
        """
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, inner, 1, bias=False) for c in in_channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(inner, output, 3, padding=1, bias=False) for _ in in_channels
        )
        self.out_channels = output * len(in_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """(B, 4 * output, H / 4, W / 4) from the four levels, finest first."""
        levels = [lateral(f) for lateral, f in zip(self.lateral, features, strict=True)]
        for fine in range(len(levels) - 2, -1, -1):
            levels[fine] = levels[fine] + _resize(levels[fine + 1], levels[fine])
        smoothed = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        return torch.cat([_resize(level, smoothed[0]) for level in smoothed], dim=1)


class Head(nn.Module):
    """Probability and threshold branches and the approximate binarisation (equation 2)."""

    def __init__(self, in_channels: int, slope: float) -> None:
        """Head over the decoder's features.

        Args:
            in_channels: Of the decoder's output.
            slope: k of the approximate step function.
        """
        super().__init__()
        self.probability = _branch(in_channels)
        self.threshold = _branch(in_channels)
        self.slope = slope

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the probability map, threshold map, approximate binary map."""
        logits = self.probability(features).float()  # sigmoids lose digits in half precision
        threshold = self.threshold(features).float().sigmoid()
        binary = torch.sigmoid(self.slope * (logits.sigmoid() - threshold))
        return logits, threshold, binary


def build_encoder(settings: NetworkSettings, *, load_weights: bool = True) -> nn.Module:
    """A timm backbone that gives features at strides 4, 8, 16 and 32.

    Args:
        settings: Name and weights of the encoder.
        load_weights: False skips the ImageNet weights (a checkpoint follows).

    Raises:
        ValueError: If timm does not know the name, it lacks one of the strides, or its weights
            cannot be had or do not fit.
        FileNotFoundError: If the weights file is missing.
    """
    name = settings.encoder
    levels = _find_levels(name)
    if not (load_weights and settings.pretrained):
        return _create_encoder(name, levels)
    weights = settings.encoder_weights
    try:
        if weights is None:
            return _create_encoder(name, levels, pretrained=True)
        return _create_with_weights(name, levels, read_encoder_weights(weights))
    except (RuntimeError, KeyError, OSError) as error:
        if isinstance(error, FileNotFoundError) and weights is not None:
            raise
        first = str(error).partition("\n")[0]
        raise ValueError(
            f"encoder {name!r} gets no weights from {weights or 'the model hub'}: {first}; name a "
            "file in network.encoder_weights, or set network.pretrained to false"
        ) from error


def build_network(settings: NetworkSettings, *, load_weights: bool = True) -> DBNet:
    """The detector's network; see :func:`build_encoder` for arguments and errors."""
    encoder: Any = build_encoder(settings, load_weights=load_weights)
    decoder = Decoder(
        encoder.feature_info.channels(), settings.inner_channels, settings.output_channels
    )
    head = Head(decoder.out_channels, settings.binarization_slope)
    for part in (decoder, head):
        part.apply(_initialise)
    _start_from_background(head)
    config = timm.get_pretrained_cfg(settings.encoder)
    if config is None:  # never trained on anything: any normalisation will do
        return DBNet(encoder, decoder, head)
    return DBNet(encoder, decoder, head, config.mean, config.std)


def _find_levels(name: str) -> list[int]:
    """Which of an encoder's feature levels have the strides 4, 8, 16 and 32."""
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.partition('_')[0]}*")[:8])
        raise ValueError(f"timm has no model {name!r}; similar names: {close or 'none'}")
    try:
        encoder: Any = timm.create_model(name, features_only=True)
    except (RuntimeError, AttributeError) as error:
        raise ValueError(f"encoder {name!r} gives no feature maps: {error}") from error
    strides = encoder.feature_info.reduction()
    if missing := [stride for stride in STRIDES if stride not in strides]:
        raise ValueError(f"encoder {name!r} has no features at stride {missing[0]}, only {strides}")
    layout = getattr(getattr(encoder, "output_fmt", None), "value", "NCHW")
    if layout != "NCHW":
        raise ValueError(f"encoder {name!r} gives {layout} features, the decoder needs NCHW")
    return [strides.index(stride) for stride in STRIDES]


def _create_encoder(name: str, levels: list[int], **options: Any) -> nn.Module:
    return timm.create_model(name, features_only=True, out_indices=levels, **options)


def _create_with_weights(name: str, levels: list[int], weights: dict[str, Tensor]) -> nn.Module:
    # timm passes over layers that the file lacks, without a word. A layer that is the same
    # with and without the file, from one state of the random numbers, was not in it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = _create_encoder(name, levels).state_dict()
        torch.manual_seed(0)
        source = {"state_dict": dict(weights)}  # a copy: timm takes entries out
        encoder = _create_encoder(name, levels, pretrained=True, pretrained_cfg_overlay=source)
    random = [
        layer
        for layer, value in encoder.state_dict().items()
        if value.ndim > 1 and torch.equal(value, before[layer])
    ]
    if random:
        raise RuntimeError(f"the file lacks {len(random)} of its layers, the first is {random[0]}")
    return encoder


def _branch(in_channels: int) -> nn.Sequential:
    inner = in_channels // 4
    return nn.Sequential(
        nn.Conv2d(in_channels, inner, 3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, inner, 2, stride=2),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, 1, 2, stride=2),
    )


def _resize(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[-2:], mode="nearest")


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def _start_from_background(head: Head) -> None:
    """Let the first maps say "hardly any text" everywhere (Lin et al., 2017, section 4.1).

    Without it they are noise around 0.5: the first steps go into unlearning it, and decoding
    the first validation maps takes longer than the epoch.
    """
    last = head.probability[-1]
    nn.init.normal_(last.get_parameter("weight"), std=0.01)
    nn.init.constant_(last.get_parameter("bias"), -2.0)
