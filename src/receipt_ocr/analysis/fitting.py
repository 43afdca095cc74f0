"""Whether detectors have learnt too little or too much, by their curves and by new pages."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.bootstrap import PairedComparison, compare_unpaired
from receipt_ocr.analysis.comparisons import ALL_FOLDS, MEAN_FOLD, pool_scores

__all__ = ["compare_new_pages", "judge_curves"]

LEVEL = 0.0005
"""Differences of H-mean below this are none: thresholds alone move it as far."""

STILL_RISING, PAST_ITS_PEAK, LEVELLED = "still rising", "past its peak", "level"


def judge_curves(histories: Mapping[str, pd.DataFrame | None]) -> pd.DataFrame:
    """How each training ended.

    Args:
        histories: Member -> a row an epoch with ``epoch``, ``hmean``, ``loss`` and ``size``.

    Returns:
        A row a member whose history is known: ``member``, ``epochs``, ``best_epoch``, ``best``,
        ``last`` (H-mean), ``drop`` (best minus last), ``rise`` (mean gain an epoch over the last
        two), ``loss_fell`` (share of its value at the best epoch that the training loss lost
        afterwards), and ``verdict``: ``still rising`` (the last epoch is the best, and better than
        the one before by more than 0.0005), ``past its peak`` (the last lies below the best by
        more than that), else ``level``.
    """
    rows: list[dict[str, Any]] = []
    for member, history in histories.items():
        if history is None or history.empty:
            continue
        scores = history["hmean"].to_numpy(float)
        best = int(scores.argmax())
        drop = float(scores[best] - scores[-1])
        steps = np.diff(scores[-3:])
        rise = float(steps.mean()) if len(steps) else 0.0
        verdict = LEVELLED
        if drop > LEVEL:
            verdict = PAST_ITS_PEAK
        elif best == len(scores) - 1 and len(steps) and steps[-1] > LEVEL:
            verdict = STILL_RISING
        loss = history["loss"].to_numpy(float)
        rows.append(
            {
                "member": member,
                "epochs": len(scores),
                "best_epoch": int(history["epoch"].iloc[best]),
                "best": float(scores[best]),
                "last": float(scores[-1]),
                "drop": drop,
                "rise": rise,
                "loss_fell": float(1 - loss[-1] / loss[best]) if loss[best] else 0.0,
                "verdict": verdict,
            }
        )
    columns = ["member", "epochs", "best_epoch", "best", "last", "drop", "rise", "loss_fell"]
    return pd.DataFrame(rows, columns=[*columns, "verdict"])


def compare_new_pages(
    page_scores: pd.DataFrame, thresholds: str = "recipe"
) -> tuple[str, PairedComparison] | None:
    """Single folds on pages that chose nothing, against their out-of-fold pages.

    An out-of-fold page has chosen its fold's best epoch, perhaps thresholds; where the scores of
    new pages of the same kind lie clearly lower, that choice was overfitted.

    Args:
        page_scores: A row a member, subset and page.
        thresholds: Where the post-processing comes from; a ``holdout`` that chose it is not new.

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
