"""Pictures of a search over post-processing settings: where the score is high, and how steep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

SETTINGS = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")

_MEASURES = ("recall", "precision", "hmean")
_BEST, _BAR, _GREY = "#D55E00", "#0072B2", "#666666"  # as in `receipt_ocr.pictures.plots`
_CROWDED = 8  # cells of a row or column up to which their numbers can be read
_TICKS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Distances from the best H-mean that the colour scale names; it ends at one of them."""
_SHORTEST = 0.005
_SOFT = 0.002  # distances well under this are told apart by equal steps, those above by ratios
_WINDOW = 0.1  # points that are worse by more are outside the picture of recall and precision

Best = Mapping[str, Any]


def plot_search(
    points: pd.DataFrame, best: Best, sensitivity: Mapping[str, Mapping[str, Any]] | None = None
) -> Figure:
    """Heat maps of H-mean over thresh x box_thresh and thresh x unclip_ratio, and sensitivity.

    A cell shows the best that the other settings reach there; colours part 0.001 near the best
    and end 0.05 under it at most. A star marks the chosen settings.

    Args:
        points: A row a point: ``thresh, box_thresh, unclip_ratio, max_candidates, min_size,
            recall, precision, hmean``. Rows with a ``trial`` are left out.
        best: The chosen settings.
        sensitivity: Setting -> the fields of :class:`receipt_ocr.records.Sensitivity`; without
            any, there is no such panel.

    Raises:
        ValueError: If there are no points, or a column or setting is missing.
    """
    own = grid_points(points, best)
    scale = ColourScale.over(own["hmean"])
    figure = Figure(figsize=(15.5 if sensitivity else 11.5, 5.2), layout="constrained")
    widths = (11.0, 4.5) if sensitivity else (11.0,)
    parts = figure.subfigures(1, len(widths), squeeze=False, width_ratios=widths)[0]
    panels = parts[0].subplots(1, 2)
    for axes, down in zip(panels, ("box_thresh", "unclip_ratio"), strict=True):
        _draw_heat_map(axes, best_of_plane(own, "thresh", down), best, scale)
    bar = parts[0].colorbar(ScalarMappable(cmap="viridis"), ax=panels, fraction=0.04, pad=0.02)
    places, names = scale.ticks()
    bar.set_ticks(places, labels=names)
    bar.set_label("H-mean (page mean)")
    if sensitivity:
        rows = [name for name in SETTINGS if name in sensitivity]
        parts[1].suptitle("one setting moved, until H-mean falls", fontsize=12)
        strips = parts[1].subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, name in zip(strips, rows, strict=True):
            _draw_sensitivity(axes, name, float(best[name]), sensitivity[name])
    return figure


def plot_precision_recall(points: pd.DataFrame, best: Best) -> Figure:
    """Recall and precision as ``box_thresh`` moves, a curve a ``thresh``, over lines of H-mean.

    The other settings are those of the grid nearest to the best. Grey dots are all points of the
    grid; a star is the best one, also where a refinement found it (`chosen_point`). Points whose
    H-mean is lower by 0.1 may lie outside. Arguments and errors are those of `plot_search`.
    """
    own = grid_points(points, best)
    curves = trace_curves(own, best)
    figure = Figure(figsize=(10.5, 7), layout="constrained")
    axes = figure.subplots()
    axes.scatter(own["recall"], own["precision"], s=14, color=_GREY, alpha=0.3, lw=0,
                 label="all points")  # fmt: skip
    colours = ScalarMappable(cmap="viridis").cmap
    for curve, shade in zip(curves, np.linspace(0.0, 0.85, len(curves)), strict=True):
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
    axes.set(
        xlim=across, ylim=up, xlabel="recall (page mean)", ylabel="precision (page mean)",
        title="box_thresh trades recall for precision (dotted: equal harmonic mean)",
    )  # fmt: skip
    _draw_levels(axes)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


@dataclass(frozen=True)
class Curve:
    """Precision and recall along ``box_thresh`` at one ``thresh``."""

    thresh: float
    points: pd.DataFrame
    """By ascending ``box_thresh``."""
    is_best: bool
    """Whether the ``thresh`` is the best settings', or the nearest to it."""


@dataclass(frozen=True)
class ColourScale:
    """Maps H-means to places from 0 (``end`` under the best, or worse) to 1 (the best).

    Steps shrink towards the best (by the logarithm of the distance from it), so that 0.001 can be
    seen there.
    """

    top: float
    """The best H-mean."""
    end: float
    """Where the scale ends, as a distance from the best: 0.005 to 0.05."""
    is_cut: bool
    """Whether some H-mean lies beyond its end."""

    @classmethod
    def over(cls, hmeans: "pd.Series[float]") -> "ColourScale":
        """The scale for these H-means."""
        top, spread = float(hmeans.max()), float(hmeans.max() - hmeans.min())
        end = next((tick for tick in _TICKS if tick >= max(spread, _SHORTEST)), _TICKS[-1])
        return cls(top, end, spread > end)

    def place(self, hmean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of H-means on the scale; NaN stays NaN."""
        distance = np.clip(self.top - np.asarray(hmean, dtype=np.float64), 0.0, self.end)
        share = np.log1p(distance / _SOFT) / np.log1p(self.end / _SOFT)
        return np.asarray(1.0 - share, dtype=np.float64)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Some places, and the labels that are written there."""
        distances = np.array([tick for tick in _TICKS if tick <= self.end])
        names = [f"{self.top - distance:.4f}" for distance in distances]
        if self.is_cut:
            names[-1] = f"≤ {names[-1]}"
        return self.place(self.top - distances).tolist(), names


def grid_points(points: pd.DataFrame, best: Best) -> pd.DataFrame:
    """The points of the grid; those of a refinement, which have a ``trial``, are left out.

    Raises:
        ValueError: If there are no points, a column is missing, or ``best`` lacks a setting.
    """
    missing = [name for name in (*SETTINGS, *_MEASURES) if name not in points.columns]
    if missing:
        raise ValueError(f"the points of a search lack the columns {missing}")
    lacking = [name for name in SETTINGS if name not in best]
    if lacking:
        raise ValueError(f"the best settings of a search lack {lacking}")
    own = points[points["trial"].isna()] if "trial" in points.columns else points
    if own.empty:
        raise ValueError("a picture of a search needs one point or more, got none")
    return own[[*SETTINGS, *_MEASURES]].astype(float).reset_index(drop=True)


def best_of_plane(points: pd.DataFrame, across: str, down: str) -> pd.DataFrame:
    """The best H-mean for each pair of values of two settings; NaN where nothing was tried.

    ``across`` names the setting of the columns, ``down`` that of the rows, both ascending.
    """
    return points.pivot_table("hmean", index=down, columns=across, aggfunc="max")


def trace_curves(points: pd.DataFrame, best: Best) -> list[Curve]:
    """One curve for each ``thresh``, at the other settings of the grid nearest to the best."""
    at_best = points
    for name in ("unclip_ratio", "max_candidates", "min_size"):
        at_best = at_best[at_best[name] == _nearest(at_best[name], best[name])]
    own = _nearest(at_best["thresh"], best["thresh"])
    return [
        Curve(thresh, at_best[at_best["thresh"] == thresh].sort_values("box_thresh"), thresh == own)
        for thresh in np.unique(at_best["thresh"].to_numpy()).tolist()
    ]


def chosen_point(points: pd.DataFrame, best: Best) -> pd.DataFrame:
    """The row of the chosen settings, of the grid or of a refinement.

    Where the table has no such row: the point with the best H-mean on the highlighted curve.
    """
    wanted = np.array([best[name] for name in SETTINGS], dtype=np.float64)
    values = points[list(SETTINGS)].to_numpy(dtype=np.float64)
    places = np.flatnonzero(np.isclose(values, wanted, rtol=0.0, atol=1e-9).all(axis=1))
    if len(places):
        return points.iloc[places[:1]][[*SETTINGS, *_MEASURES]].astype(float)
    curves = trace_curves(grid_points(points, best), best)
    own = next(curve.points for curve in curves if curve.is_best)
    return own.iloc[[int(own["hmean"].to_numpy().argmax())]]


def score_window(points: pd.DataFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of recall and of precision that hold all points near the best H-mean."""
    near = points[points["hmean"] >= points["hmean"].max() - _WINDOW]
    ranges = []
    for name in ("recall", "precision"):
        low, high = float(near[name].min()), float(near[name].max())
        margin = max(0.08 * (high - low), 0.002)
        ranges.append((low - margin, high + margin))
    return ranges[0], ranges[1]


def _nearest(values: "pd.Series[float]", value: float) -> float:
    own = values.unique()
    return float(own[np.abs(own - value).argmin()])


def _draw_heat_map(axes: Axes, heat: pd.DataFrame, best: Best, scale: ColourScale) -> None:
    shade = np.ma.masked_invalid(scale.place(heat.to_numpy()))
    axes.pcolormesh(shade, cmap="viridis", vmin=0.0, vmax=1.0, edgecolors="white", lw=0.5)
    across, down = str(heat.columns.name), str(heat.index.name)
    axes.set_xticks(np.arange(len(heat.columns)) + 0.5, [f"{v:.4g}" for v in heat.columns])
    axes.set_yticks(np.arange(len(heat.index)) + 0.5, [f"{v:.4g}" for v in heat.index])
    # Refined settings lie between two values of the grid, and so between two cells.
    x = np.interp(best[across], heat.columns, np.arange(len(heat.columns)))
    y = np.interp(best[down], heat.index, np.arange(len(heat.index)))
    axes.plot(x + 0.5, y + 0.5, "*", color=_BEST, ms=17, mec="white", clip_on=False, zorder=5)
    if max(heat.shape) <= _CROWDED:
        for (row, column), hmean in np.ndenumerate(heat.to_numpy()):
            if not np.isnan(hmean):
                colour = "black" if shade[row, column] > 0.6 else "white"
                axes.annotate(f"{hmean:.4f}", (column + 0.5, row + 0.14), ha="center", va="center",
                              fontsize=8, color=colour)  # fmt: skip
    axes.set(xlabel=across, ylabel=down, title=f"{across} x {down}, best over the others")


def _draw_sensitivity(axes: Axes, name: str, best: float, sides: Mapping[str, Any]) -> None:
    low, high = float(sides["lowest"]), float(sides["highest"])
    axes.plot([low, high], [0, 0], color=_BAR, lw=9, solid_capstyle="butt")
    for end, is_open, marker in (
        (low, sides["is_open_below"], "<"), (high, sides["is_open_above"], ">")
    ):  # fmt: skip
        axes.plot(end, 0, marker if is_open else "|", color=_BAR, ms=14, mew=2.5)
    axes.plot(best, 0, "*", color=_BEST, ms=15, mec="white", zorder=5)
    margin = 0.35 * (high - low) or 0.1 * abs(best) or 0.1
    axes.set(xlim=(low - margin, high + margin), ylim=(-1, 1), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    start = f"{'no fall down to' if sides['is_open_below'] else 'from'} {low:.4g}"
    stop = f"{'no fall up to' if sides['is_open_above'] else 'to'} {high:.4g}"
    axes.set_title(f"{name}: {start}, {stop}", fontsize=9, loc="left")
    axes.spines[["left", "right", "top"]].set_visible(False)


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
    """Write ``box_thresh`` beside the first and the last point."""
    for place, shift, align in ((-1, (13, -3), "left"), (0, (0, -16), "center"))[: len(curve)]:
        point = curve.iloc[place]
        axes.annotate(
            f"box_thresh {point['box_thresh']:.4g}", (point["recall"], point["precision"]),
            xytext=shift, textcoords="offset points", fontsize=9, color=_BEST, zorder=7,
            ha=align, annotation_clip=True,
            bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1},
        )  # fmt: skip
