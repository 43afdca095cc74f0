"""The picture and the table of the folds' balance."""

import numpy as np
import pandas as pd

from receipt_ocr.pictures.fold_balance import plot_balance
from receipt_ocr.receipts.fold_balance import balance_table
from receipt_ocr.receipts.folds import FEATURES
from receipt_ocr.receipts.settings import FOLD_COUNT


def test_the_balance_table_counts_every_page_in_its_fold_and_once_in_all() -> None:
    folds = pd.DataFrame(
        {
            "page": ["a", "b", "c"],
            "fold": [0, 0, 1],
            "stratum": ["w0-h0-a0", "w1-h0-a0", "w0-h0-a0"],
            "group": [0, 0, 1],
            "word_count": [0, 4, 6],
            "text_height": [0.0, 0.02, 0.03],
            "aspect": [1.0, 2.0, 3.0],
        }
    )
    table = balance_table(folds).set_index("fold")
    assert table.loc[["0", "1", "all"], "pages"].tolist() == [2, 1, 3]
    assert table["groups"].tolist() == [1, 1, 2]
    assert table["blank_pages"].tolist() == [1, 0, 1]
    assert table["words"].tolist() == [4, 6, 10]
    assert table["aspect"].tolist() == [1.5, 3.0, 2.0]
    assert table["w0-h0-a0"].tolist() == [1, 1, 2]
    assert table["w1-h0-a0"].tolist() == [1, 0, 1]


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
