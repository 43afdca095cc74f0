"""Decoders: from an encoder's four levels to one feature map at stride 4."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Decoder(nn.Module):
    """Top-down U-Net: coarse levels are enlarged and added to finer ones, then all are joined."""

    def __init__(
        self, in_channels: Sequence[int], inner: int, output: int, *, adaptive: bool = False
    ) -> None:
        """Build the decoder over levels at strides 4, 8, 16, 32 with these channels.

        The summed levels have ``inner`` channels, each of the joined ones ``output``; ``adaptive``
        joins them by :class:`AdaptiveScaleFusion` (DBNet++), not by plain concatenation.
        """
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, inner, 1, bias=False) for c in in_channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(inner, output, 3, padding=1, bias=False) for _ in in_channels
        )
        self.fusion = AdaptiveScaleFusion(output, len(in_channels)) if adaptive else None
        self.out_channels = output * len(in_channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Join the four levels, finest first, to (B, 4 * output, H / 4, W / 4)."""
        levels = [lateral(f) for lateral, f in zip(self.lateral, features, strict=True)]
        for fine in range(len(levels) - 2, -1, -1):
            levels[fine] = levels[fine] + _resize(levels[fine + 1], levels[fine])
        smoothed = [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
        enlarged = [_resize(level, smoothed[0]) for level in smoothed]
        if self.fusion is None:
            return torch.cat(enlarged, dim=1)
        fused: Tensor = self.fusion(enlarged)
        return fused


class AdaptiveScaleFusion(nn.Module):
    """Weighs the levels against each other at each place before they are joined (DBNet++).

    Liao et al., "Real-Time Scene Text Detection with Differentiable Binarization and Adaptive
    Scale Fusion", 2022, the section on adaptive scale fusion. With the levels X_i at one size::

        S = Conv3x3(concat(X_0 ... X_3))
        A = SpatialAttention(S)
        F = concat(A_0 X_0 ... A_3 X_3)

    The spatial attention adds one map (from the mean over S's channels) to all channels of S and
    makes the four weights in (0, 1) out of the sum. The weights do not add up to 1: a place may
    want several levels, or none. The authors' code also has a channel attention before it, which
    the paper does not describe; it is left out.
    """

    def __init__(self, channels: int, levels: int = 4) -> None:
        """Build the fusion of levels with as many channels each; S has as many, too."""
        super().__init__()
        self.mix = nn.Conv2d(channels * levels, channels, 3, padding=1)
        self.place = nn.Sequential(
            nn.Conv2d(1, 1, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 1, 1, bias=False),
            nn.Sigmoid(),
        )
        self.weigh = nn.Sequential(nn.Conv2d(channels, levels, 1, bias=False), nn.Sigmoid())

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Join levels of (B, channels, H, W) each to (B, levels * channels, H, W)."""
        mixed = self.mix(torch.cat(list(levels), dim=1))
        mixed = mixed + self.place(mixed.mean(dim=1, keepdim=True))
        weights = self.weigh(mixed).split(1, dim=1)
        return torch.cat([w * level for w, level in zip(weights, levels, strict=True)], dim=1)


def _resize(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[-2:], mode="nearest")
