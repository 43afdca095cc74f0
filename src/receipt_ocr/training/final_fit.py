"""The number of epochs of the final fit, from the folds' best epochs."""

from collections.abc import Mapping

import pandas as pd

from receipt_ocr.records import FinalEpochs
from receipt_ocr.training.history import epochs_of_peaks


def choose_epochs(
    epochs: int | None, histories: Mapping[str, pd.DataFrame | None], experiment: str
) -> FinalEpochs:
    """Choose the number of epochs that the settings insist on, else the one that the folds say.

    A history has a row an epoch; it is None where the fold was not trained.

    Raises:
        ValueError: If neither the settings nor a fold says how many.
    """
    peaks = {
        fold: int(history["epoch"].to_numpy()[history["hmean"].to_numpy().argmax()])
        for fold, history in histories.items()
        if history is not None
    }
    if epochs is None and not peaks:
        raise ValueError(
            f"no fold of {experiment} has been trained that could say for how many epochs; train "
            "folds first, or set final_fit.epochs"
        )
    return FinalEpochs(epochs=epochs or epochs_of_peaks(list(peaks.values())), peaks=peaks)
