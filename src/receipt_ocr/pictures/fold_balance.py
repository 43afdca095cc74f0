"""A plot that shows whether the folds are alike."""

import pandas as pd
from matplotlib.figure import Figure

from receipt_ocr.receipts.folds import FEATURES

_TITLES = {
    "word_count": "words on a page",
    "text_height": "text height / longest side",
    "aspect": "height / width",
}


def plot_balance(folds: pd.DataFrame) -> Figure:
    """Box plots of the three features by fold, and the pages of every stratum by fold."""
    figure = Figure(figsize=(12, 7), layout="constrained")
    grid = figure.add_gridspec(2, len(FEATURES))
    parts = {str(fold): rows for fold, rows in folds.groupby("fold")}
    for column, feature in enumerate(FEATURES):
        axes = figure.add_subplot(grid[0, column])
        axes.boxplot([rows[feature].to_numpy() for rows in parts.values()], tick_labels=list(parts))
        axes.set(title=_TITLES[feature], xlabel="fold")
    counts = pd.crosstab(folds["fold"], folds["stratum"])
    axes = figure.add_subplot(grid[1, :])
    image = axes.imshow(counts, aspect="auto", cmap="Blues", vmin=0)
    axes.set(title="pages by stratum", ylabel="fold", yticks=range(len(counts)))
    axes.set_yticklabels([str(fold) for fold in counts.index])
    axes.set_xticks(range(counts.shape[1]), counts.columns, rotation=90)
    figure.colorbar(image, ax=axes, label="pages")
    return figure
