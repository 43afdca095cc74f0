"""Encoders: any timm backbone that gives features at strides 4, 8, 16 and 32."""

from functools import cache
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from receipt_ocr.detector.settings import NetworkSettings
from receipt_ocr.detector.weights import read_encoder_weights

_STRIDES = (4, 8, 16, 32)

_TRIAL = (64, 416)
"""Height and width of the image that an encoder is tried on: not ImageNet's, and longer, because
the position tables of some transformers end there."""


class _Plan(NamedTuple):
    """Arguments to timm for an encoder: indices of the levels with our strides, and options."""

    levels: list[int]
    options: dict[str, Any]
    is_channels_last: bool


class ChannelsFirst(nn.Module):
    """An encoder whose (B, H, W, C) features are turned to (B, C, H, W)."""

    def __init__(self, encoder: Any) -> None:
        """Wrap one of timm's encoders."""
        super().__init__()
        self.encoder = encoder
        self.feature_info = encoder.feature_info

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the features, finest first."""
        return [features.permute(0, 3, 1, 2).contiguous() for features in self.encoder(images)]


def build_encoder(settings: NetworkSettings, *, load_weights: bool = True) -> nn.Module:
    """Build a timm backbone that gives (B, C, H, W) features at strides 4, 8, 16 and 32.

    ``load_weights`` false skips the ImageNet weights (a checkpoint follows).

    Raises:
        ValueError: If timm does not know the name, the encoder lacks one of the strides or takes
            images of one size only, or its weights cannot be had or do not fit.
        FileNotFoundError: If the weights file is missing.
    """
    plan = _inspect(settings.encoder)
    if load_weights and settings.pretrained:
        encoder = _create_pretrained(settings.encoder, plan, settings.encoder_weights)
    else:
        encoder = _create(settings.encoder, plan)
    return ChannelsFirst(encoder) if plan.is_channels_last else encoder


@cache
@torch.random.fork_rng(devices=[])  # a trial must not change what is drawn next
def _inspect(name: str) -> _Plan:
    """Find out which levels of an encoder have our strides, and what it takes to use them."""
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.partition('_')[0]}*")[:8])
        raise ValueError(f"timm has no model {name!r}; similar names: {close or 'none'}")
    try:
        encoder: Any = timm.create_model(name, features_only=True)
    except (RuntimeError, AttributeError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"encoder {name!r} gives no feature maps: {_first_line(error)}; choose another "
            "network.encoder"
        ) from error
    strides = encoder.feature_info.reduction()
    if missing := [stride for stride in _STRIDES if stride not in strides]:
        raise ValueError(
            f"encoder {name!r} has no features at stride {missing[0]}, only {strides}; choose "
            "another network.encoder"
        )
    options: dict[str, Any] = {}
    if any(getattr(module, "strict_img_size", False) for module in encoder.modules()):
        # Windows (Swin and relatives) tie timm's encoders to one size, unless told otherwise.
        try:
            encoder = timm.create_model(name, features_only=True, strict_img_size=False)
            options = {"strict_img_size": False}
        except TypeError:  # it has no such option; the trial shows whether it does without
            pass
    layout = getattr(getattr(encoder, "output_fmt", None), "value", "NCHW")
    if layout not in {"NCHW", "NHWC"}:
        raise ValueError(f"encoder {name!r} gives {layout} features, the decoder needs NCHW")
    _try_out(name, encoder, is_channels_last=layout == "NHWC")
    indices = encoder.feature_info.out_indices  # some leave out the first levels of their own
    return _Plan([indices[strides.index(s)] for s in _STRIDES], options, layout == "NHWC")


def _try_out(name: str, encoder: Any, *, is_channels_last: bool) -> None:
    """Check that an encoder takes images of any size: pages and epochs differ in theirs."""
    height, width = _TRIAL
    sides = slice(1, 3) if is_channels_last else slice(2, 4)
    try:
        with torch.no_grad():
            features = encoder.eval()(torch.zeros(1, 3, height, width))
        for stride, level in zip(encoder.feature_info.reduction(), features, strict=True):
            expected = (height // stride, width // stride)
            if stride in _STRIDES and tuple(level.shape[sides]) != expected:
                raise ValueError(f"features of {tuple(level.shape)} at stride {stride}")
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise ValueError(
            f"encoder {name!r} takes images of certain sizes only, not {height} x {width} "
            f"({_first_line(error)}); pages come in many sizes: choose another network.encoder "
            "(most convolutional ones take any, so do swin, pvt and davit)"
        ) from error


def _create(name: str, plan: _Plan, **options: Any) -> nn.Module:
    return timm.create_model(
        name, features_only=True, out_indices=plan.levels, **plan.options, **options
    )


def _create_pretrained(name: str, plan: _Plan, weights: str | None) -> nn.Module:
    try:
        if weights is None:
            return _create(name, plan, pretrained=True)
        return _create_with_weights(name, plan, read_encoder_weights(weights))
    except (RuntimeError, KeyError, OSError) as error:
        if isinstance(error, FileNotFoundError) and weights is not None:
            raise
        raise ValueError(
            f"encoder {name!r} gets no weights from {weights or 'the model hub'}: "
            f"{_first_line(error)}; name a file in network.encoder_weights, or set "
            "network.pretrained to false"
        ) from error


def _create_with_weights(name: str, plan: _Plan, weights: dict[str, Tensor]) -> nn.Module:
    # timm passes over layers that the file lacks, without a word. A layer that is the same
    # with and without the file, from one state of the random numbers, was not in it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = _create(name, plan).state_dict()
        torch.manual_seed(0)
        source = {"state_dict": dict(weights)}  # a copy: timm takes entries out
        encoder = _create(name, plan, pretrained=True, pretrained_cfg_overlay=source)
    random = [
        layer
        for layer, value in encoder.state_dict().items()
        if value.ndim > 1 and torch.equal(value, before[layer])
    ]
    if random:
        raise RuntimeError(f"the file lacks {len(random)} of its layers, the first is {random[0]}")
    return encoder


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
