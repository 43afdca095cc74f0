"""Optimisers and learning rate schedules by name."""

from math import cos, pi
from typing import Any

import numpy as np
import torch
from torch import nn

from receipt_ocr.detector.settings import TrainingSettings

__all__ = ["build_optimizer", "learning_rate_at", "parameter_groups"]

# PyTorch's OneCycleLR has the same defaults.
WARM_UP_SHARE = 0.3
ONE_CYCLE_START = 25.0
ONE_CYCLE_END = 25.0 * 1e4


def learning_rate_at(step: int, steps_per_epoch: int, settings: TrainingSettings) -> float:
    """Learning rate of an optimiser step (from 0), a function of its number alone.

    ``cosine`` falls once an epoch (Loshchilov and Hutter, "SGDR", 2017, equation 5, without
    restarts), ``constant`` stays; both may rise linearly over the first ``warmup_epochs``.
    ``one_cycle`` rises over the first 30 % of all steps and falls over the rest (Smith and Topin,
    "Super-Convergence", 2018), both along a cosine.
    """
    peak = settings.learning_rate
    if settings.schedule == "one_cycle":
        return _one_cycle(step, steps_per_epoch * settings.epochs, peak)
    if settings.schedule == "cosine":
        progress = min(1.0, step // steps_per_epoch / settings.schedule_epochs)
        peak = _along_cosine(peak, settings.final_learning_rate, progress)
    warm_up = settings.warmup_epochs * steps_per_epoch
    return peak * min(1.0, (step + 1) / warm_up) if warm_up else peak


def parameter_groups(network: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """The weights as an optimiser takes them.

    Returns:
        One group; or two where norms and biases (all weights with one dimension) do not decay.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if settings.decay_norms_and_biases:
        return [{"params": weights, "weight_decay": settings.weight_decay}]
    return [
        {
            "params": [weight for weight in weights if weight.ndim > 1],
            "weight_decay": settings.weight_decay,
        },
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]


def build_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam (weight decay as an L2 penalty) or AdamW (decoupled) over a network's weights."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(parameter_groups(network, settings), lr=settings.learning_rate)


def _one_cycle(step: int, steps: int, peak: float) -> float:
    total = max(2, steps)
    top = max(1.0, WARM_UP_SHARE * total - 1)
    if step < top:
        return _along_cosine(peak / ONE_CYCLE_START, peak, step / top)
    progress = min(1.0, (step - top) / max(1.0, total - 1 - top))
    return _along_cosine(peak, peak / ONE_CYCLE_END, progress)


def _along_cosine(start: float, end: float, progress: float) -> float:
    return float(end + (start - end) * (1 + cos(pi * np.clip(progress, 0.0, 1.0))) / 2)
