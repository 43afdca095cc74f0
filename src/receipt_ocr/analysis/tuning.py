"""Statements on post-processing: what is in use, what tuning found, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.results import Results
from receipt_ocr.records import Sensitivity, TunedPostprocess

__all__ = ["Setting", "TuningStatement", "find_grid_edges", "state_tuning"]

GRID_AXES = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")
"""Settings that a search moves."""


@dataclass(frozen=True)
class Setting:
    """One setting of the post-processing."""

    name: str
    in_use: Any
    """Value behind every score."""
    recipe: Any
    """None where the recipe's settings are in use, or were not recorded."""
    tuned: Any
    """Value tuned out of fold; None where that is in use, or tuning has not run."""
    sensitivity: Sensitivity | None
    """Range in which the tuned value may move; None where that was not looked at."""


@dataclass(frozen=True)
class TuningStatement:
    """The post-processing in use, and what searches found."""

    source: str
    """``recipe``, ``tuned`` or ``holdout``."""
    settings: Sequence[Setting]
    tuned: TunedPostprocess | None
    is_of_members: bool
    """Tuned on the maps of the members that vote."""
    optimism: float | None
    """Excess of the score because the scored pages chose the settings; None where unknown."""
    edges: Mapping[str, str]
    """Setting whose tuned value lies at the end of what was tried, and nothing shows that H-mean
    falls beyond -> ``lowest`` or ``highest``."""
    holdout: TunedPostprocess | None
    """Result of tuning the ensemble on the holdout."""
    axes: Sequence[str] = GRID_AXES


def state_tuning(results: Results) -> TuningStatement:
    """Describe an experiment's post-processing."""
    chosen, tuned = results.own.chosen, results.own.tuned
    honest = None if tuned is None else tuned.cross_fitted_hmean
    return TuningStatement(
        source=chosen.source,
        settings=_list_settings(results),
        tuned=tuned,
        is_of_members=tuned is not None and set(tuned.members) == set(results.histories),
        optimism=None if tuned is None or honest is None else tuned.chosen_hmean - honest,
        edges=_find_open_edges(results.tables.tuning_table, tuned),
        holdout=None if tuned is None else results.tables.holdout,
    )


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


def _list_settings(results: Results) -> list[Setting]:
    chosen, tuned = results.own.chosen, results.own.tuned
    recipe = chosen.recipe if chosen.is_tuned else None
    beside = tuned.postprocess if tuned and chosen.source != "tuned" else None
    sensitivity = tuned.sensitivity if tuned else {}
    return [
        Setting(
            name=name,
            in_use=value,
            recipe=getattr(recipe, name, None),
            tuned=getattr(beside, name, None),
            sensitivity=sensitivity.get(name),
        )
        for name, value in chosen.postprocess
    ]


def _find_open_edges(
    tuning_table: pd.DataFrame | None, tuned: TunedPostprocess | None
) -> dict[str, str]:
    if tuning_table is None or tuned is None:
        return {}

    def is_open(axis: str, end: str) -> bool:
        side = tuned.sensitivity.get(axis)
        return side is None or (side.is_open_below if end == "lowest" else side.is_open_above)

    edges = find_grid_edges(tuning_table, tuned.postprocess.model_dump())
    return {axis: end for axis, end in edges.items() if is_open(axis, end)}
