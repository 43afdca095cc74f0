"""Plots for the report: learning curves of the folds, and scores of their pages.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; folds also differ in
their markers.
"""

from collections.abc import Collection, Mapping
from io import BytesIO
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from receipt_ocr.analysis.comparisons import ENSEMBLE
from receipt_ocr.analysis.tables import judging_subset

DPI = 100

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_GREY = "#666666"
_PANELS = {"hmean": "H-mean", "precision": "precision", "recall": "recall", "loss": "loss"}
_SCORE_TICKS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1.0)
_HEADROOM = 1.02  # scores are drawn by the logarithm of their distance from this


def plot_histories(
    histories: Mapping[str, pd.DataFrame], stopped_early: Collection[str] = ()
) -> Figure:
    """Plot H-mean, precision, recall and loss by epoch, one colour a fold.

    Stars mark each fold's best epoch, crosses where early stopping ended a fold, dashed lines the
    epochs at which pages change their size. Score axes are stretched towards 1, where folds
    differ.

    Args:
        histories: Fold -> a row an epoch with ``epoch, size, hmean, precision, recall, loss``.
        stopped_early: Folds that early stopping ended.

    Raises:
        ValueError: If there are no histories.
    """
    if not histories:
        raise ValueError("a picture of the training needs one fold or more, got none")
    figure = Figure(figsize=(12, 8), layout="constrained")
    panels = dict(zip(_PANELS, figure.subplots(2, 2, sharex=True).flat, strict=True))
    for column, axes in panels.items():
        for (name, history), style in zip(histories.items(), _styles(), strict=False):
            values = history[column].astype(float)
            axes.plot(history["epoch"], values, label=name, **style)
            if column == "hmean":
                best = int(values.to_numpy().argmax())
                place = (history["epoch"].iloc[best], values.iloc[best])
                axes.plot(*place, "*", color=style["color"], ms=15, mec="white", zorder=5)
                if name in stopped_early:
                    end = (history["epoch"].iloc[-1], values.iloc[-1])
                    axes.plot(*end, "X", color=style["color"], ms=11, mec="black", zorder=6)
        axes.set_title(_PANELS[column] + (" on validation pages" if column != "loss" else ""))
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(-0.5, max(history["epoch"].max() for history in histories.values()) + 0.5)
    for column in ("hmean", "precision", "recall"):
        _stretch_towards_one(panels[column])
    _scale_loss(panels["loss"])
    for axes in panels.values():
        _mark_sizes(axes, histories)
    for column in ("recall", "loss"):
        panels[column].set_xlabel("epoch")
    panels["hmean"].plot([], [], "*", color=_GREY, ms=13, label="best epoch")
    if any(name in stopped_early for name in histories):
        panels["hmean"].plot([], [], "X", color=_GREY, ms=10, mec="black", label="early stopping")
    handles, labels = panels["hmean"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def encode_png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def plot_scores(page_scores: pd.DataFrame) -> Figure:
    """Plot every page's H-mean as a dot, a row a member, with quartiles and the mean.

    Test pages are drawn; without their truth the holdout, else the out-of-fold pages.

    Raises:
        ValueError: If no page was scored.
    """
    if page_scores.empty:
        raise ValueError("a picture of the scores needs one scored page or more, got none")
    subset = judging_subset(page_scores) or "out_of_fold"
    own = page_scores[page_scores["subset"] == subset]
    by_member = {str(m): rows["hmean"].astype(float) for m, rows in own.groupby("member")}
    members = sorted(by_member, key=lambda m: (m != ENSEMBLE, m), reverse=True)  # bottom up
    figure = Figure(figsize=(10, 1.8 + 0.75 * len(members)), layout="constrained")
    axes = figure.subplots()
    for row, member in enumerate(members):
        hmeans = by_member[member].to_numpy()
        colour = _COLOURS[1] if member == ENSEMBLE else _COLOURS[0]
        axes.scatter(hmeans, row + _spread(len(hmeans)), s=14, alpha=0.45, color=colour, lw=0)
        axes.boxplot(
            hmeans, positions=[row], vert=False, widths=0.62, showfliers=False, manage_ticks=False,
            medianprops={"color": "black", "lw": 2}, boxprops={"color": _GREY},
            whiskerprops={"color": _GREY}, capprops={"color": _GREY},
        )  # fmt: skip
        axes.plot(hmeans.mean(), row, "D", color="white", mec="black", ms=7, zorder=5)
        axes.annotate(
            f"mean {hmeans.mean():.4f}\n{len(hmeans)} pages", (1.01, row),
            xycoords=("axes fraction", "data"), va="center", annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks(range(len(members)), members)
    axes.set_ylim(-0.6, len(members) - 0.4)
    _stretch_towards_one(axes, "x")
    axes.set_title(f"H-mean of every {subset.replace('_', '-')} page (line: median, diamond: mean)")
    axes.set_xlabel("H-mean of a page (stretched towards 1)")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _styles() -> "cycle[dict[str, str | float]]":
    return cycle(
        {"color": colour, "marker": marker, "ms": 5.0, "lw": 1.8}
        for colour, marker in zip(_COLOURS, _MARKERS, strict=True)
    )


def _stretch_towards_one(axes: Axes, along: str = "y") -> None:
    """Make a score axis run from 0 (or a little under the lowest score) to 1."""
    data = axes.dataLim
    lowest = float(data.y0 if along == "y" else data.x0)
    bottom = max([tick for tick in _SCORE_TICKS[:-1] if tick < lowest], default=0.0)
    set_scale = axes.set_yscale if along == "y" else axes.set_xscale
    set_scale("function", functions=(_closeness, _from_closeness))
    axis = axes.yaxis if along == "y" else axes.xaxis
    axis.set_major_locator(FixedLocator([tick for tick in _SCORE_TICKS if tick >= bottom]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda score, _: f"{score:g}"))
    room = _closeness(np.array([bottom, 1.0]))
    margin = 0.03 * (room[1] - room[0])
    ends = _from_closeness(np.array([room[0] - margin, room[1] + margin]))
    (axes.set_ylim if along == "y" else axes.set_xlim)(*ends)


def _scale_loss(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))


def _closeness(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.log(np.maximum(_HEADROOM - np.asarray(score, dtype=np.float64), 1e-6))


def _from_closeness(closeness: NDArray[np.float64]) -> NDArray[np.float64]:
    return _HEADROOM - np.exp(-np.asarray(closeness, dtype=np.float64))


def _mark_sizes(axes: Axes, histories: Mapping[str, pd.DataFrame]) -> None:
    """Draw vertical lines where any fold's pages change their size between two epochs."""
    switches = set()
    for history in histories.values():
        is_switch = history["size"].diff().fillna(0.0) != 0.0
        switches |= set(
            zip(history.loc[is_switch, "epoch"], history.loc[is_switch, "size"], strict=True)
        )
    for epoch, size in sorted(switches):
        axes.axvline(epoch - 0.5, color=_GREY, ls="--", lw=1)
        axes.annotate(
            f"{size:.0f} px", (epoch - 0.5, 0.02), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", color=_GREY, fontsize=9,
        )  # fmt: skip


def _spread(count: int) -> NDArray[np.float64]:
    """Fixed vertical offsets that keep the dots of one row apart."""
    golden = 0.618033988749895  # its multiples fill the unit interval evenly
    return np.asarray((np.arange(count) * golden % 1.0 - 0.5) * 0.5, dtype=np.float64)
