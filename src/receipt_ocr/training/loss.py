"""The DBNet loss (Liao et al., 2020, section 3.6): three maps, three terms."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from receipt_ocr.detector.network import DBNetOutput
from receipt_ocr.detector.settings import LossSettings

_EPSILON = 1e-6


class LossParts(NamedTuple):
    """The weighted sum and its three terms before weighting, scalars."""

    total: Tensor
    shrink: Tensor
    threshold: Tensor
    binary: Tensor


class DBLoss(nn.Module):
    """Weighted sum of the three terms."""

    def __init__(self, settings: LossSettings) -> None:
        """Take the weights from the settings."""
        super().__init__()
        self.settings = settings

    def forward(self, output: DBNetOutput, batch: dict[str, Tensor]) -> LossParts:
        """Compute the loss of the network's maps; targets are (B, 1, H, W) of any number type."""
        settings = self.settings
        shrink_map, shrink_mask = batch["shrink_map"].float(), batch["shrink_mask"].float()
        threshold_mask = batch["threshold_mask"].float()
        # From logits, not from the probability map: the logarithm of a rounded 0 is infinite.
        shrink = balanced_cross_entropy(
            output.logits, shrink_map, shrink_mask, settings.negative_ratio
        )
        threshold = masked_l1(output.threshold, batch["threshold_map"], threshold_mask)
        binary = dice_loss(output.binary, shrink_map, shrink_mask)
        total = (
            settings.shrink_weight * shrink
            + settings.threshold_weight * threshold
            + settings.binary_weight * binary
        )
        return LossParts(total, shrink, threshold, binary)


def balanced_cross_entropy(
    logits: Tensor, truth: Tensor, mask: Tensor, negative_ratio: float
) -> Tensor:
    """Binary cross entropy over all positives and the hardest negatives.

    Maps are (B, 1, H, W); ``truth`` is 0 or 1, ``mask`` 1 where a pixel counts. At most
    ``negative_ratio`` negatives are taken for each positive of the batch; without positives, as
    many as a single one would allow. The loss is 0 where nothing counts.
    """
    pixel = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    positive = truth * mask
    negative = (1.0 - truth) * mask
    positives = positive.sum()
    wanted = int(torch.clamp(positives, min=1.0).item() * negative_ratio)
    kept = min(int(negative.sum().item()), wanted)
    # Sorting only what is kept is much cheaper than sorting every pixel.
    hardest = torch.topk((pixel * negative).flatten(), kept, sorted=False).values
    return ((pixel * positive).sum() + hardest.sum()) / (positives + kept + _EPSILON)


def masked_l1(prediction: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the mask; 0 where the mask is empty."""
    return ((prediction - truth).abs() * mask).sum() / (mask.sum() + _EPSILON)


def dice_loss(prediction: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """1 - 2 |prediction and truth| / (|prediction| + |truth|) over the mask, in [0, 1]."""
    overlap = (prediction * truth * mask).sum()
    union = (prediction * mask).sum() + (truth * mask).sum()
    return 1.0 - 2.0 * overlap / (union + _EPSILON)
