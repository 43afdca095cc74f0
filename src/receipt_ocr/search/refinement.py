"""Between the values of a grid: Optuna looks for better post-processing around its best point.

The search on all pages and those that leave out one fold each advance side by side, so that a
page's map is loaded once for all of them.
"""

from collections.abc import Mapping

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from tqdm import tqdm

from receipt_ocr.search.grid import SearchResult
from receipt_ocr.search.page_scoring import RANGES, TIE, Point
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.settings import GridSettings

_LEVELS = 255  # of a map above 0
_DIGITS = {"box_thresh": 4, "unclip_ratio": 3, "min_size": 2}
_ALONE = {"thresh": 0.05, "box_thresh": 0.1, "unclip_ratio": 0.2, "min_size": 2.0}
"""Reach to either side where the grid has a single value."""


def refine_settings(
    table: ScoreTable, settings: GridSettings, on_grid: SearchResult
) -> SearchResult:
    """Try ``settings.refine.trials`` points within one grid step of the grid's best.

    Tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
    Optimization", 2011) over ``thresh``, ``box_thresh``, ``unclip_ratio`` and ``min_size``. Of
    ``thresh`` one value between each two levels of an 8-bit map is tried. Where the grid has a
    single value, the neighbourhood is 0.05, 0.1, 0.2 and 2 wide to either side.

    Args:
        table: The pages; its scores are filled in.
        settings: The grid, the number of trials beside the start, and the seed.
        on_grid: The grid's best settings, from which the search on all pages starts, and its
            choice without each fold, from which the search without that fold starts.

    Returns:
        The rows also have the number of their ``trial`` (0 is the start); the best is the start
        unless another point is really better.

    Raises:
        RuntimeError: If a process has died.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole = _Study(table, Point.of(on_grid.best), settings, table.everywhere)
    without = {
        fold: _Study(table, Point.of(start), settings, table.folds != fold)
        for fold, start in on_grid.fold_choices.items()
    }
    studies = [whole, *without.values()]
    # disable=None: no bar where the output is no terminal.
    for _ in tqdm(range(settings.refine.trials + 1), desc="refinement", unit="trial", disable=None):
        table.fill([(study.ask(), study.is_own) for study in studies])
        for study in studies:
            study.tell()
    table.fill([(study.best, table.everywhere) for study in without.values()])
    choices = {fold: study.best for fold, study in without.items()}
    return SearchResult(
        rows=tuple({"trial": k, **table.row(point)} for k, point in enumerate(whole.points)),
        best=whole.best.within(table.base),
        chosen_hmean=whole.best_hmean,
        cross_fitted_hmean=table.cross_fit(choices),
        fold_choices={fold: point.within(table.base) for fold, point in choices.items()},
    )


class _Study:
    """One search, which sees the scores of its own pages only."""

    def __init__(
        self, table: ScoreTable, start: Point, settings: GridSettings, is_own: NDArray[np.bool_]
    ) -> None:
        self.is_own = is_own
        """(pages,) which pages it is scored on."""
        self.points: list[Point] = []
        """All points it has asked for."""
        self.best = start
        self.best_hmean = -np.inf
        self._table = table
        self._start = start
        self._space = _neighbourhood(start, settings)
        sampler = optuna.samplers.TPESampler(seed=settings.refine.seed, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._study.enqueue_trial({**start._asdict(), "thresh": _level_of(start.thresh)})
        self._trial: optuna.Trial | None = None

    def ask(self) -> Point:
        """Choose the next point; the first is the start."""
        self._trial = self._study.ask(self._space)
        self.points.append(self._read(self._trial.params) if self.points else self._start)
        return self.points[-1]

    def tell(self) -> None:
        """Take in the score of the point that was asked for last."""
        assert self._trial is not None
        hmean = float(self._table.mean(self.points[-1], self.is_own)[2])
        self._study.tell(self._trial, hmean)
        if hmean > self.best_hmean + TIE:
            self.best, self.best_hmean = self.points[-1], hmean

    def _read(self, params: Mapping[str, float]) -> Point:
        level = int(params["thresh"])
        is_old = level == _level_of(self._start.thresh)
        # Halfway between two levels: which pixels are text does not hang on the last digit.
        thresh = self._start.thresh if is_old else round((level + 0.5) / _LEVELS, 4)
        box_thresh, ratio, size = (round(params[name], n) for name, n in _DIGITS.items())
        return Point(thresh, box_thresh, ratio, self._start.max_candidates, size)


def _neighbourhood(start: Point, settings: GridSettings) -> dict[str, BaseDistribution]:
    """One step of the grid to each side of the start; where an axis ends, its last step again."""
    ends = {}
    for name, alone in _ALONE.items():
        value, (low, high) = getattr(start, name), RANGES[name]
        axis = getattr(settings, name) or ()
        below = [value - other for other in axis if other < value]
        above = [other - value for other in axis if other > value]
        down = min(below or above or [alone])
        up = min(above or below or [alone])
        ends[name] = max(value - down, low), min(value + up, high)
    space: dict[str, BaseDistribution] = {name: FloatDistribution(*ends[name]) for name in _DIGITS}
    lowest, highest = map(_level_of, ends["thresh"])
    at_start = _level_of(start.thresh)
    return {"thresh": IntDistribution(lowest, max(min(highest, _LEVELS - 1), at_start)), **space}


def _level_of(thresh: float) -> int:
    """The highest level of an 8-bit map that is no text, as `find_candidates` compares it."""
    levels = np.arange(_LEVELS + 1, dtype=np.float32) / np.float32(_LEVELS)
    return int(np.searchsorted(levels, np.float32(thresh), side="right")) - 1
