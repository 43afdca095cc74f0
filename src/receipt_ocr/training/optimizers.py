"""Optimisers by name, and which weights decay."""

from typing import Any

import torch
from torch import nn

from receipt_ocr.detector.settings import TrainingSettings


def build_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Build Adam (weight decay as an L2 penalty) or AdamW (decoupled) over a network's weights."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(parameter_groups(network, settings), lr=settings.learning_rate)


def parameter_groups(network: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Group the weights by their decay; norms and biases are those with one dimension."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if settings.decay_norms_and_biases:
        return [{"params": weights, "weight_decay": settings.weight_decay}]
    kernels = [weight for weight in weights if weight.ndim > 1]
    vectors = [weight for weight in weights if weight.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
