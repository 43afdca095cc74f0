"""The pictures of a search as pages to look into: every point tells its settings and scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from receipt_ocr.pictures.search_points import (
    SETTINGS,
    ColourScale,
    HeatMap,
    best_of_plane,
    chosen_point,
    describe,
    grid_points,
    score_window,
    trace_curves,
)

__all__ = ["plot_precision_recall", "plot_search"]

_BEST = "#D55E00"
_PLATEAU = "#0072B2"
_GREY = "#666666"
_HOVER = "%{text}<extra></extra>"
_STAR = {"symbol": "star", "size": 16, "color": _BEST, "line": {"color": "white", "width": 1}}

Best = Mapping[str, Any]
Plateaus = Mapping[str, Mapping[str, Any]]


def plot_search(points: pd.DataFrame, best: Best, plateaus: Plateaus | None = None) -> go.Figure:
    """As `receipt_ocr.pictures.search_plots.plot_search`, with the point behind each cell.

    Args:
        points: A row a point, as there.
        best: The chosen settings.
        plateaus: As there.

    Raises:
        ValueError: If there are no points, or a column or setting is missing.
    """
    own = grid_points(points, best)
    scale = ColourScale.over(own["hmean"])
    rows = [name for name in SETTINGS if name in (plateaus or {})]
    figure = _layout(rows)
    for column, down in enumerate(("box_thresh", "unclip_ratio"), start=1):
        _add_heat_map(figure, column, best_of_plane(own, "thresh", down), best, scale)
    places, names = scale.ticks()
    figure.update_layout(
        template="plotly_white",
        height=520,
        showlegend=False,
        coloraxis={
            "colorscale": "Viridis",
            "cmin": 0,
            "cmax": 1,
            "colorbar": {
                "title": "H-mean", "tickvals": places, "ticktext": names,
                "x": float(figure.layout.xaxis2.domain[1]) + 0.005, "thickness": 14,
            },
        },
    )  # fmt: skip
    for row, name in enumerate(rows, start=1):
        _add_plateau(figure, row, name, best, (plateaus or {})[name])
    return figure


def plot_precision_recall(points: pd.DataFrame, best: Best) -> go.Figure:
    """As `receipt_ocr.pictures.search_plots.plot_precision_recall`, each point with its settings.

    Args:
        points: A row a point, as there.
        best: The chosen settings.

    Raises:
        ValueError: If there are no points, or a column or setting is missing.
    """
    own = grid_points(points, best)
    star = chosen_point(points, best)
    across, up = score_window(pd.concat([own, star]))
    figure = go.Figure()
    _add_levels(figure, across, up)
    _add_dots(
        figure,
        own,
        "all points",
        mode="markers",
        marker={"color": _GREY, "size": 4, "opacity": 0.4},
    )
    curves = trace_curves(own, best)
    shades = sample_colorscale("Viridis", np.linspace(0.0, 0.85, len(curves)).tolist())
    for curve, shade in zip(curves, shades, strict=True):
        style = {"width": 3.5, "color": _BEST} if curve.is_best else {"width": 1.5, "color": shade}
        name = f"thresh {curve.thresh:.4g}"
        _add_dots(figure, curve.points, name, mode="lines+markers", line=style)
    _add_dots(figure, star, f"best: H-mean {star['hmean'].iloc[0]:.4f}", mode="markers",
              marker=_STAR)  # fmt: skip
    figure.update_layout(
        template="plotly_white",
        title="box_thresh trades recall for precision (grey lines: equal harmonic mean)",
        xaxis={"title": "recall (page mean)", "range": across},
        yaxis={"title": "precision (page mean)", "range": up},
        height=640,
    )
    return figure


def _layout(rows: list[str]) -> go.Figure:
    """Two heat maps, and to their right a strip for each plateau."""
    titles = ["thresh x box_thresh, best over the others", "thresh x unclip_ratio"]
    if not rows:
        return make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    span = {"rowspan": len(rows)}
    specs = [[span, span, {}], *([[None, None, {}]] * (len(rows) - 1))]
    return make_subplots(
        len(rows),
        3,
        specs=specs,
        subplot_titles=[*titles, *rows],
        column_widths=[0.36, 0.36, 0.28],
        horizontal_spacing=0.09,
        vertical_spacing=0.12,
    )


def _add_heat_map(
    figure: go.Figure, column: int, heat: HeatMap, best: Best, scale: ColourScale
) -> None:
    texts = [
        ["" if point is None else describe(point, "<br>") for point in row] for row in heat.points
    ]
    cells = go.Heatmap(
        z=scale.place(heat.hmean), text=texts, hovertemplate=_HOVER, coloraxis="coloraxis",
        xgap=1, ygap=1, hoverongaps=False,
    )  # fmt: skip
    x, y = heat.place(best)
    star = go.Scatter(
        x=[x], y=[y], mode="markers", marker=_STAR, hovertemplate=_HOVER,
        text=["best<br>" + describe({name: best[name] for name in SETTINGS}, "<br>")],
    )  # fmt: skip
    figure.add_trace(cells, row=1, col=column)
    figure.add_trace(star, row=1, col=column)
    for update, name, values in (
        (figure.update_xaxes, heat.across, heat.columns),
        (figure.update_yaxes, heat.down, heat.rows),
    ):
        update(
            title_text=name, tickvals=np.arange(len(values)), showgrid=False, zeroline=False,
            ticktext=[f"{value:.4g}" for value in values], row=1, col=column,
        )  # fmt: skip


def _add_plateau(
    figure: go.Figure, row: int, name: str, best: Best, plateau: Mapping[str, Any]
) -> None:
    low, high = float(plateau["lowest"]), float(plateau["highest"])
    symbols = [
        "triangle-left" if plateau["is_open_below"] else "line-ns-open",
        "triangle-right" if plateau["is_open_above"] else "line-ns-open",
    ]
    text = (
        f"{name} from {low:.4g}{' or less' if plateau['is_open_below'] else ''} "
        f"to {high:.4g}{' or more' if plateau['is_open_above'] else ''}"
    )
    bar = go.Scatter(
        x=[low, high], y=[0, 0], mode="lines+markers", line={"color": _PLATEAU, "width": 8},
        marker={"symbol": symbols, "size": 16, "color": _PLATEAU,
                "line": {"width": 2, "color": _PLATEAU}},
        text=[text, text], hovertemplate=_HOVER,
    )  # fmt: skip
    star = go.Scatter(
        x=[float(best[name])], y=[0], mode="markers", marker=_STAR, hovertemplate=_HOVER,
        text=[f"best {name} {float(best[name]):.4g}<br>{text}"],
    )  # fmt: skip
    figure.add_trace(bar, row=row, col=3)
    figure.add_trace(star, row=row, col=3)
    margin = 0.35 * (high - low) or 0.1 * abs(low) or 0.1
    figure.update_xaxes(range=[low - margin, high + margin], zeroline=False, row=row, col=3)
    figure.update_yaxes(visible=False, range=[-1, 1], row=row, col=3)


def _add_levels(figure: go.Figure, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Lines of equal harmonic mean of recall and precision."""
    recall, precision = np.linspace(*across, 80), np.linspace(*up, 80)
    total = recall[None, :] + precision[:, None]
    hmean = 2 * recall[None, :] * precision[:, None] / np.where(total > 0, total, 1.0)
    figure.add_trace(
        go.Contour(
            x=recall, y=precision, z=hmean, ncontours=9, showscale=False, hoverinfo="skip",
            contours={"coloring": "none", "showlabels": True, "labelfont": {"color": _GREY}},
            line={"color": "#BBBBBB", "width": 1}, name="equal H-mean", showlegend=False,
        )
    )  # fmt: skip


def _add_dots(figure: go.Figure, points: pd.DataFrame, name: str, **style: Any) -> None:
    texts = [describe({str(k): v for k, v in p.items()}, "<br>") for p in points.to_dict("records")]
    figure.add_trace(
        go.Scatter(
            x=points["recall"].tolist(), y=points["precision"].tolist(), name=name, text=texts,
            hovertemplate=_HOVER, **style,
        )
    )  # fmt: skip
