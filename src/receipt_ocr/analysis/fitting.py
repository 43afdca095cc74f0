"""Underfitting and overfitting, by learning curves and by new pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import PairedComparison, compare_unpaired
from receipt_ocr.analysis.comparisons import ALL_FOLDS, MEAN_FOLD, pool_scores
from receipt_ocr.analysis.experiment import stopped_early
from receipt_ocr.records import TrainingRecord

LEVEL = 0.0005
"""Differences of H-mean below this are none: thresholds alone move it as far."""

STILL_RISING, PAST_ITS_PEAK, LEVELLED = "still rising", "past its peak", "level"

Histories = Mapping[str, pd.DataFrame | None]
"""Member -> a row an epoch with ``epoch``, ``hmean``, ``loss`` and ``size``; None where unknown."""


@dataclass(frozen=True)
class Curve:
    """End of one training."""

    member: str
    epochs: int
    best_epoch: int
    best: float
    """H-mean at the best epoch."""
    last: float
    """H-mean at the last epoch."""
    rise: float
    """Mean gain an epoch over the last two."""
    loss_fell: float
    """Share of its value at the best epoch that the training loss lost afterwards."""

    verdict: str
    """``still rising``: the last epoch is the best, and better than the one before by more than
    0.0005; ``past its peak``: the last lies below the best by more than that; else ``level``."""

    @property
    def drop(self) -> float:
        """Best minus last H-mean."""
        return self.best - self.last


@dataclass(frozen=True)
class Epoch:
    """One epoch of all trainings."""

    epoch: int
    sizes: Sequence[int]
    """Sizes of the pages, in pixels."""
    hmeans: Mapping[str, float | None]
    """Member -> its score; None where its training had ended."""
    is_best: Sequence[bool]
    is_switch: bool
    """Some member sees pages of another size from here on."""
    stopped: Sequence[str]
    """Members that early stopping ended here."""


def judge_curves(histories: Histories) -> list[Curve]:
    """Judge the end of each training with a known history."""
    curves = []
    for member, history in histories.items():
        if history is None or history.empty:
            continue
        scores, loss = (history[name].to_numpy(float) for name in ("hmean", "loss"))
        best = int(scores.argmax())
        steps = np.diff(scores[-3:])
        verdict = LEVELLED
        if scores[best] - scores[-1] > LEVEL:
            verdict = PAST_ITS_PEAK
        elif best == len(scores) - 1 and len(steps) and steps[-1] > LEVEL:
            verdict = STILL_RISING
        curves.append(
            Curve(
                member=member,
                epochs=len(scores),
                best_epoch=int(history["epoch"].iloc[best]),
                best=float(scores[best]),
                last=float(scores[-1]),
                rise=float(steps.mean()) if len(steps) else 0.0,
                loss_fell=float(1 - loss[-1] / loss[best]) if loss[best] else 0.0,
                verdict=verdict,
            )
        )
    return curves


def list_epochs(
    histories: Histories, trainings: Mapping[str, TrainingRecord | None]
) -> Iterator[Epoch]:
    """All trainings with a known history epoch by epoch."""
    known = {name: one for name, one in histories.items() if one is not None}
    best = {curve.member: curve.best_epoch for curve in judge_curves(known)}
    hmeans = {name: dict(zip(h["epoch"], h["hmean"], strict=True)) for name, h in known.items()}
    sizes = {name: dict(zip(h["epoch"], h["size"], strict=True)) for name, h in known.items()}
    for epoch in sorted({int(epoch) for own in hmeans.values() for epoch in own}):
        # Member by member: that one of another experiment has ended is no switch.
        both = [own for own in sizes.values() if {epoch - 1, epoch} <= own.keys()]
        ended = [name for name, own in hmeans.items() if max(own) == epoch]
        yield Epoch(
            epoch=epoch,
            sizes=sorted({int(own[epoch]) for own in sizes.values() if epoch in own}),
            hmeans={name: own.get(epoch) for name, own in hmeans.items()},
            is_best=[best.get(name) == epoch for name in known],
            is_switch=any(own[epoch - 1] != own[epoch] for own in both),
            stopped=[name for name in ended if stopped_early(trainings.get(name))],
        )


def compare_new_pages(
    page_scores: pd.DataFrame, thresholds: str = "recipe"
) -> tuple[str, PairedComparison] | None:
    """Single folds on pages that chose nothing, against their out-of-fold pages.

    An out-of-fold page has chosen its fold's best epoch, perhaps thresholds; where the scores of
    new pages of the same kind lie clearly lower, that choice was overfitted.

    A ``holdout`` that chose the thresholds is not new.

    Returns:
        The new pages' subset (``holdout``, else ``test``), and the mean fold's H-mean on them
        minus that of all folds out of fold; None where either is missing.
    """
    known = pool_scores(page_scores, "out_of_fold", ALL_FOLDS)
    for subset in ("holdout", "test"):
        if subset == thresholds:
            continue
        new = pool_scores(page_scores, subset, MEAN_FOLD)
        if len(new) > 1 and len(known) > 1:
            return subset, compare_unpaired(new.to_numpy(float), known.to_numpy(float))
    return None
