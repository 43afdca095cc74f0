"""Pictures of a search over post-processing settings: where the score is high, and how steep.

Colours of lines are those of ``receipt_ocr.pictures.plots``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from receipt_ocr.pictures.search_points import (
    SETTINGS,
    ColourScale,
    HeatMap,
    best_of_plane,
    chosen_point,
    grid_points,
    score_window,
    trace_curves,
)

__all__ = ["plot_precision_recall", "plot_search"]

_BEST = "#D55E00"
_PLATEAU = "#0072B2"
_GREY = "#666666"
_CROWDED = 8
"""Cells of a row or column up to which their numbers can be read."""

Best = Mapping[str, Any]
Plateaus = Mapping[str, Mapping[str, Any]]


def plot_search(points: pd.DataFrame, best: Best, plateaus: Plateaus | None = None) -> Figure:
    """Heat maps of H-mean over thresh x box_thresh and thresh x unclip_ratio, and the plateaus.

    A cell shows the best that the other settings reach there; colours part 0.001 near the best
    and end 0.05 under it at most. A star marks the chosen settings.

    Args:
        points: A row a point: ``thresh, box_thresh, unclip_ratio, max_candidates, min_size,
            recall, precision, hmean``. Rows with a ``trial`` are left out.
        best: The chosen settings.
        plateaus: Setting -> ``lowest, highest, is_open_below, is_open_above, hmean``, as in
            ``receipt_ocr.search.sensitivity.Plateau``; without, there is no such panel.

    Raises:
        ValueError: If there are no points, or a column or setting is missing.
    """
    own = grid_points(points, best)
    scale = ColourScale.over(own["hmean"])
    figure = Figure(figsize=(15.5 if plateaus else 11.5, 5.2), layout="constrained")
    widths = (11.0, 4.5) if plateaus else (11.0,)
    parts = figure.subfigures(1, len(widths), squeeze=False, width_ratios=widths)[0]
    panels = parts[0].subplots(1, 2)
    for axes, down in zip(panels, ("box_thresh", "unclip_ratio"), strict=True):
        _draw_heat_map(axes, best_of_plane(own, "thresh", down), best, scale)
    bar = parts[0].colorbar(ScalarMappable(cmap="viridis"), ax=panels, fraction=0.04, pad=0.02)
    places, names = scale.ticks()
    bar.set_ticks(places, labels=names)
    bar.set_label("H-mean (page mean)")
    if plateaus:
        rows = [name for name in SETTINGS if name in plateaus]
        parts[1].suptitle("one setting moved, until H-mean falls", fontsize=12)
        strips = parts[1].subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, name in zip(strips, rows, strict=True):
            _draw_plateau(axes, name, float(best[name]), plateaus[name])
    return figure


def plot_precision_recall(points: pd.DataFrame, best: Best) -> Figure:
    """Recall and precision as ``box_thresh`` moves, a curve a ``thresh``, over lines of H-mean.

    The other settings are those of the grid nearest to the best. Grey dots are all points of the
    grid; a star is the best one, also where a refinement found it (`chosen_point`). Points whose
    H-mean is lower by 0.1 may lie outside.

    Args:
        points: As `plot_search` takes them.
        best: The chosen settings.

    Raises:
        ValueError: As `plot_search`.
    """
    own = grid_points(points, best)
    curves = trace_curves(own, best)
    figure = Figure(figsize=(10.5, 7), layout="constrained")
    axes = figure.subplots()
    axes.scatter(own["recall"], own["precision"], s=14, color=_GREY, alpha=0.3, lw=0,
                 label="all points")  # fmt: skip
    shades = np.linspace(0.0, 0.85, len(curves))
    colours = ScalarMappable(cmap="viridis").cmap
    for curve, shade in zip(curves, shades, strict=True):
        style = {"color": _BEST, "lw": 2.6, "zorder": 4} if curve.is_best else {
            "color": colours(shade), "lw": 1.3}  # fmt: skip
        axes.plot(curve.points["recall"], curve.points["precision"], marker="o", ms=4,
                  label=f"thresh {curve.thresh:.4g}", **style)  # fmt: skip
        if curve.is_best:
            _name_ends(axes, curve.points)
    star = chosen_point(points, best)
    axes.plot(star["recall"], star["precision"], "*", color=_BEST, ms=17, mec="black", zorder=6,
              label=f"best: H-mean {star['hmean'].iloc[0]:.4f}")  # fmt: skip
    across, up = score_window(pd.concat([own, star]))
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    _draw_levels(axes)
    axes.set_xlabel("recall (page mean)")
    axes.set_ylabel("precision (page mean)")
    axes.set_title("box_thresh trades recall for precision (dotted: equal harmonic mean)")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _draw_heat_map(axes: Axes, heat: HeatMap, best: Best, scale: ColourScale) -> None:
    shade = np.ma.masked_invalid(scale.place(heat.hmean))
    axes.pcolormesh(shade, cmap="viridis", vmin=0.0, vmax=1.0, edgecolors="white", lw=0.5)
    axes.set_xticks(np.arange(len(heat.columns)) + 0.5, [f"{v:.4g}" for v in heat.columns])
    axes.set_yticks(np.arange(len(heat.rows)) + 0.5, [f"{v:.4g}" for v in heat.rows])
    x, y = heat.place(best)
    axes.plot(x + 0.5, y + 0.5, "*", color=_BEST, ms=17, mec="white", clip_on=False, zorder=5)
    if max(heat.hmean.shape) <= _CROWDED:
        for (row, column), hmean in np.ndenumerate(heat.hmean):
            if not np.isnan(hmean):
                colour = "black" if shade[row, column] > 0.6 else "white"
                axes.annotate(f"{hmean:.4f}", (column + 0.5, row + 0.14), ha="center", va="center",
                              fontsize=8, color=colour)  # fmt: skip
    axes.set_xlabel(heat.across)
    axes.set_ylabel(heat.down)
    axes.set_title(f"{heat.across} x {heat.down}, best over the others")


def _draw_plateau(axes: Axes, name: str, best: float, plateau: Mapping[str, Any]) -> None:
    low, high = float(plateau["lowest"]), float(plateau["highest"])
    axes.plot([low, high], [0, 0], color=_PLATEAU, lw=9, solid_capstyle="butt")
    for end, is_open, marker in (
        (low, plateau["is_open_below"], "<"), (high, plateau["is_open_above"], ">")
    ):  # fmt: skip
        axes.plot(end, 0, marker if is_open else "|", color=_PLATEAU, ms=14, mew=2.5)
    axes.plot(best, 0, "*", color=_BEST, ms=15, mec="white", zorder=5)
    margin = 0.35 * (high - low) or 0.1 * abs(best) or 0.1
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    ends = [
        f"{'no fall down to' if plateau['is_open_below'] else 'from'} {low:.4g}",
        f"{'no fall up to' if plateau['is_open_above'] else 'to'} {high:.4g}",
    ]
    axes.set_title(f"{name}: {', '.join(ends)}", fontsize=9, loc="left")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _draw_levels(axes: Axes) -> None:
    """Lines of equal harmonic mean of recall and precision."""
    recall, precision = np.meshgrid(
        np.linspace(*axes.get_xlim(), 120), np.linspace(*axes.get_ylim(), 120)
    )
    total = recall + precision
    hmean = 2 * recall * precision / np.where(total > 0, total, 1.0)
    levels = MaxNLocator(8).tick_values(hmean.min(), hmean.max())
    lines = axes.contour(recall, precision, hmean, levels=levels, colors=_GREY, linestyles=":",
                         linewidths=0.9, zorder=1)  # fmt: skip
    axes.clabel(lines, fmt="%.4g", fontsize=8)


def _name_ends(axes: Axes, curve: pd.DataFrame) -> None:
    """The box_thresh of the first and the last point."""
    for place, shift, align in ((-1, (13, -3), "left"), (0, (0, -16), "center"))[: len(curve)]:
        point = curve.iloc[place]
        axes.annotate(
            f"box_thresh {point['box_thresh']:.4g}", (point["recall"], point["precision"]),
            xytext=shift, textcoords="offset points", fontsize=9, color=_BEST, zorder=7,
            ha=align, annotation_clip=True,
            bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1},
        )  # fmt: skip
