"""What the pictures of a search over post-processing settings show, ready to be drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "SETTINGS",
    "ColourScale",
    "Curve",
    "HeatMap",
    "best_of_plane",
    "chosen_point",
    "describe",
    "grid_points",
    "score_window",
    "trace_curves",
]

SETTINGS = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")

_MEASURES = ("recall", "precision", "hmean")
_TICKS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Distances from the best H-mean that the colour scale names; it ends at one of them."""
_SHORTEST = 0.005
_SOFT = 0.002  # distances well under this are told apart by equal steps, those above by ratios
_WINDOW = 0.1  # points that are worse by more are outside the picture of recall and precision


@dataclass(frozen=True)
class HeatMap:
    """H-mean over two settings, at the best of the other ones."""

    across: str
    """The setting of the columns."""
    down: str
    """The setting of the rows."""
    columns: NDArray[np.float64]
    """Values of ``across``, ascending."""
    rows: NDArray[np.float64]
    """Values of ``down``, ascending."""
    hmean: NDArray[np.float64]
    """(rows, columns), NaN where nothing was tried."""
    points: list[list[dict[str, float] | None]]
    """The whole point behind each cell."""

    def place(self, best: Mapping[str, Any]) -> tuple[float, float]:
        """Where settings lie, in cells; between two where they are between two values."""
        return (
            float(np.interp(best[self.across], self.columns, np.arange(len(self.columns)))),
            float(np.interp(best[self.down], self.rows, np.arange(len(self.rows)))),
        )


@dataclass(frozen=True)
class Curve:
    """How ``box_thresh`` trades recall for precision at one ``thresh``."""

    thresh: float
    points: pd.DataFrame
    """By ascending ``box_thresh``."""
    is_best: bool
    """Whether the ``thresh`` is the best settings', or the nearest to it."""


@dataclass(frozen=True)
class ColourScale:
    """H-means as places from 0 (``end`` under the best, or worse) to 1 (the best).

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
        """Where H-means lie on it; NaN stays NaN."""
        distance = np.clip(self.top - np.asarray(hmean, dtype=np.float64), 0.0, self.end)
        share = np.log1p(distance / _SOFT) / np.log1p(self.end / _SOFT)
        return np.asarray(1.0 - share, dtype=np.float64)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Some places, and what is written there."""
        distances = np.array([tick for tick in _TICKS if tick <= self.end])
        names = [f"{self.top - distance:.4f}" for distance in distances]
        if self.is_cut:
            names[-1] = f"≤ {names[-1]}"
        return self.place(self.top - distances).tolist(), names


def grid_points(points: pd.DataFrame, best: Mapping[str, Any]) -> pd.DataFrame:
    """The points of the grid; those of a refinement, which have a ``trial``, are left out.

    Args:
        points: Columns ``thresh, box_thresh, unclip_ratio, max_candidates, min_size, recall,
            precision, hmean``, and perhaps ``trial``.
        best: The chosen settings.

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


def best_of_plane(points: pd.DataFrame, across: str, down: str) -> HeatMap:
    """The best point for each pair of values of two settings (`grid_points`)."""
    columns = np.unique(points[across].to_numpy())
    rows = np.unique(points[down].to_numpy())
    hmean = np.full((len(rows), len(columns)), np.nan)
    cells: list[list[dict[str, float] | None]] = [[None] * len(columns) for _ in rows]
    chosen = points.loc[points.groupby([across, down])["hmean"].idxmax()]
    for point in chosen.to_dict("records"):
        row = int(np.searchsorted(rows, point[down]))
        column = int(np.searchsorted(columns, point[across]))
        hmean[row, column] = point["hmean"]
        cells[row][column] = {str(name): float(value) for name, value in point.items()}
    return HeatMap(across, down, columns, rows, hmean, cells)


def trace_curves(points: pd.DataFrame, best: Mapping[str, Any]) -> list[Curve]:
    """One curve for each ``thresh``, at the other settings of the grid nearest to the best."""
    at_best = points
    for name in ("unclip_ratio", "max_candidates", "min_size"):
        at_best = at_best[at_best[name] == _nearest(at_best[name], best[name])]
    own = _nearest(at_best["thresh"], best["thresh"])
    return [
        Curve(thresh, at_best[at_best["thresh"] == thresh].sort_values("box_thresh"), thresh == own)
        for thresh in np.unique(at_best["thresh"].to_numpy()).tolist()
    ]


def chosen_point(points: pd.DataFrame, best: Mapping[str, Any]) -> pd.DataFrame:
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


def describe(point: Mapping[str, Any], line_break: str = "\n") -> str:
    """A point in words: its settings, and its scores where it has some."""
    lines = [f"{name} {float(point[name]):.4g}" for name in SETTINGS]
    lines += [f"{name} {float(point[name]):.4f}" for name in _MEASURES if name in point]
    return line_break.join(lines)


def _nearest(values: "pd.Series[float]", value: float) -> float:
    own = values.unique()
    return float(own[np.abs(own - value).argmin()])
