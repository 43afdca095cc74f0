"""Statements on tuning: how much it flatters its own score, and where the grid was too small."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from receipt_ocr.records import TunedPostprocess

GRID_AXES = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")
"""Settings that a search moves."""


def measure_optimism(tuned: TunedPostprocess | None) -> float | None:
    """Excess of the score because the scored pages chose the settings; None where unknown."""
    if tuned is None or tuned.cross_fitted_hmean is None:
        return None
    return tuned.chosen_hmean - tuned.cross_fitted_hmean


def find_open_edges(
    tuning_table: pd.DataFrame | None, tuned: TunedPostprocess | None
) -> dict[str, str]:
    """Keep the edges of :func:`find_grid_edges` beyond which H-mean is not known to fall."""
    if tuning_table is None or tuned is None:
        return {}

    def is_open(axis: str, end: str) -> bool:
        side = tuned.sensitivity.get(axis)
        return side is None or (side.is_open_below if end == "lowest" else side.is_open_above)

    edges = find_grid_edges(tuning_table, tuned.postprocess.model_dump())
    return {axis: end for axis, end in edges.items() if is_open(axis, end)}


def find_grid_edges(tuning_table: pd.DataFrame, best: Mapping[str, float]) -> dict[str, str]:
    """Find settings whose best value lies at the end of the grid: better may lie beyond.

    Args:
        tuning_table: A row a point of the grid.
        best: The chosen settings.

    Returns:
        Setting -> ``lowest`` or ``highest``; settings with a single value have no edge.
    """
    edges = {}
    for axis in GRID_AXES:
        if axis not in tuning_table:  # a table of an earlier version
            continue
        tried = tuning_table[axis]
        if tried.nunique() > 1 and np.isclose(best[axis], [tried.min(), tried.max()]).any():
            edges[axis] = "lowest" if np.isclose(best[axis], tried.min()) else "highest"
    return edges
