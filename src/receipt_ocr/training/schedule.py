"""Learning rate schedules by name."""

from math import cos, pi

import numpy as np

from receipt_ocr.detector.settings import TrainingSettings

# PyTorch's OneCycleLR has the same defaults.
_WARM_UP_SHARE = 0.3
_ONE_CYCLE_START = 25.0
_ONE_CYCLE_END = 25.0 * 1e4


def learning_rate_at(step: int, steps_per_epoch: int, settings: TrainingSettings) -> float:
    """Compute the learning rate of an optimiser step (from 0), from its number alone.

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


def _one_cycle(step: int, steps: int, peak: float) -> float:
    # The shortest trainings have no room for a rise and a fall: no phase is shorter than a step.
    total = max(2, steps)
    top = max(1.0, _WARM_UP_SHARE * total - 1)
    if step < top:
        return _along_cosine(peak / _ONE_CYCLE_START, peak, step / top)
    progress = min(1.0, (step - top) / max(1.0, total - 1 - top))
    return _along_cosine(peak, peak / _ONE_CYCLE_END, progress)


def _along_cosine(start: float, end: float, progress: float) -> float:
    return float(end + (start - end) * (1 + cos(pi * np.clip(progress, 0.0, 1.0))) / 2)
