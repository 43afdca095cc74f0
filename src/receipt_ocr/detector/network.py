"""DBNet (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020).

encoder (any timm backbone) -> decoder (top-down U-Net, or the one of DBNet++) -> head
(probability and threshold map)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from receipt_ocr.detector.decoder import Decoder
from receipt_ocr.detector.encoder import build_encoder
from receipt_ocr.detector.settings import NetworkSettings


class DBNetOutput(NamedTuple):
    """The maps that the loss is computed on, each (B, 1, H, W) at the input's resolution."""

    logits: Tensor
    """Logits of the probability map; both others are in [0, 1]."""
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
            decoder: Four feature maps -> one (B, C, H / 4, W / 4).
            head: That map -> logits of the probability and threshold map, (B, 1, H, W) each.
            mean: Mean of the encoder's training images, RGB in [0, 1].
            std: Their standard deviation.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        # Buffers follow the network to its device; not persistent, as they follow from the recipe.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> DBNetOutput:
        """Compute the maps of (B, 3, H, W) RGB in [0, 255]; H and W are multiples of 32."""
        maps: DBNetOutput = self.head(self._features(images))
        return maps

    def predict(self, images: Tensor) -> Tensor:
        """Probability maps, (B, 1, H, W) float32 in [0, 1]; the threshold branch is not run."""
        logits: Tensor = self.head.probability(self._features(images))
        return logits.float().sigmoid()

    def _features(self, images: Tensor) -> Tensor:
        normalised = (images.float() - self.mean) / self.std
        features: Tensor = self.decoder(self.encoder(normalised))
        return features


class Head(nn.Module):
    """Probability and threshold branches and the approximate binarisation (equation 2)."""

    def __init__(self, in_channels: int, slope: float) -> None:
        """Build both branches; ``slope`` is k of the approximate step function."""
        super().__init__()
        self.probability = _branch(in_channels)
        self.threshold = _branch(in_channels)
        self.slope = slope

    def forward(self, features: Tensor) -> DBNetOutput:
        """Compute logits of the probability map, threshold map and approximate binary map."""
        logits = self.probability(features).float()  # sigmoids lose digits in half precision
        threshold = self.threshold(features).float().sigmoid()
        # A plain step has no gradient; this steep sigmoid lets the loss reach both maps.
        binary = torch.sigmoid(self.slope * (logits.sigmoid() - threshold))
        return DBNetOutput(logits, threshold, binary)


def build_network(settings: NetworkSettings, *, load_weights: bool = True) -> DBNet:
    """Build the detector's network; see :func:`build_encoder` for arguments and errors."""
    encoder: Any = build_encoder(settings, load_weights=load_weights)
    decoder = Decoder(
        encoder.feature_info.channels(),
        settings.inner_channels,
        settings.output_channels,
        adaptive=settings.decoder == "dbnet++",
    )
    head = Head(decoder.out_channels, settings.binarization_slope)
    for part in (decoder, head):
        part.apply(_initialise)
    _start_from_background(head)
    config = timm.get_pretrained_cfg(settings.encoder)
    if config is None:  # never trained on anything: any normalisation will do
        return DBNet(encoder, decoder, head)
    return DBNet(encoder, decoder, head, config.mean, config.std)


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
