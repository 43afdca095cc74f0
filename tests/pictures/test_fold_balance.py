"""The picture of the folds' balance."""

import numpy as np
import pandas as pd

from receipt_ocr.pictures.fold_balance import plot_balance
from receipt_ocr.receipts.folds import FEATURES
from receipt_ocr.receipts.settings import FOLD_COUNT


def test_the_balance_plot_has_a_box_a_fold_and_a_cell_a_stratum() -> None:
    rng = np.random.default_rng(0)
    folds = pd.DataFrame(
        {
            "fold": np.arange(40) % FOLD_COUNT,
            "stratum": rng.choice(["w0-h0-a0", "w0-h1-a0", "w1-h0-a2"], 40),
            **{feature: rng.random(40) for feature in FEATURES},
        }
    )
    figure = plot_balance(folds)
    *boxes, strata = figure.axes[: len(FEATURES) + 1]
    labels = [[text.get_text() for text in axes.get_xticklabels()] for axes in boxes]
    assert labels == [[str(fold) for fold in range(FOLD_COUNT)]] * len(FEATURES)
    assert strata.images[0].get_array().shape == (FOLD_COUNT, folds["stratum"].nunique())
    assert strata.images[0].get_array().sum() == len(folds)
