"""Between the values of a grid: Optuna looks for better post-processing around its best point.

The search on all pages and those that leave out one fold each advance side by side, so that a
page's map is loaded once for all of them.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from tqdm import tqdm

from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.search.grid import GridResult
from receipt_ocr.search.page_scoring import (
    MEASURES,
    TIE,
    PageScores,
    Point,
    check_pages,
    list_tasks,
    score_page,
    tabulate_point,
)
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.search.workers import PageWorkers

__all__ = ["refine_settings"]

_LEVELS = 255  # of a map above 0
_DIGITS = {"box_thresh": 4, "unclip_ratio": 3, "min_size": 2}
_ALONE = {"thresh": 0.05, "box_thresh": 0.1, "unclip_ratio": 0.2, "min_size": 2.0}
"""To either side of the only value of an axis."""
_RANGES = {
    "thresh": (0.0, 1.0),
    "box_thresh": (0.0, 1.0),
    "unclip_ratio": (0.05, np.inf),
    "min_size": (0.0, np.inf),
}


def refine_settings(  # noqa: PLR0913, PLR0917 - what a grid search takes, and where it ended
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    start: PostprocessSettings,
    settings: GridSettings,
    groups: Mapping[str, int] | None = None,
    fold_starts: Mapping[int, PostprocessSettings] | None = None,
) -> GridResult:
    """Try ``settings.refine.trials`` points within one grid step of the start.

    Tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
    Optimization", 2011) over ``thresh``, ``box_thresh``, ``unclip_ratio`` and ``min_size``. Of
    ``thresh`` one value between each two levels of an 8-bit map is tried. Where the grid has a
    single value, the neighbourhood is 0.05, 0.1, 0.2 and 2 wide to either side.

    Args:
        maps: Page -> a function that loads its out-of-fold map.
        truths: Page -> its true words, prepared with the variant of the score to use.
        start: The grid's best settings, with all that is not tuned.
        settings: The grid, the number of trials beside the start, the seed and the processes.
        groups: Page -> its fold, for the honest estimate.
        fold_starts: Held-out fold -> the grid's choice on the other folds. Needed where there are
            two folds or more.

    Returns:
        The rows also have the number of their ``trial`` (0 is the start); the best is the start
        unless another point is really better.

    Raises:
        ValueError: If there are no pages, the three name different pages, a fold has no start, or
            Ray is asked for but cannot be reached.
        RuntimeError: If a process has died.
    """
    check_pages(maps, truths, groups)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = _ScoreTable(maps, truths, start)
    folds = np.array([0 if groups is None else groups[page] for page in table.pages])
    everywhere = np.ones(len(folds), dtype=np.bool_)
    whole = _Search(Point.of(start), settings, everywhere)
    leaving_out = {
        fold: _Search(Point.of(own), settings, folds != fold)
        for fold, own in _starts_of(folds, fold_starts).items()
    }
    _advance(whole, leaving_out, table, settings)
    held_out = np.empty(len(folds))
    for fold, search in leaving_out.items():
        held_out[folds == fold] = table[search.best][folds == fold, 2]
    return GridResult(
        rows=tuple(
            {"trial": number, **tabulate_point(point, table[point].mean(axis=0))}
            for number, point in enumerate(whole.points)
        ),
        best=whole.best.within(start),
        chosen_hmean=whole.best_hmean,
        honest_hmean=float(held_out.mean()) if leaving_out else None,
        fold_choices={fold: search.best.within(start) for fold, search in leaving_out.items()},
    )


def _advance(
    whole: "_Search",
    leaving_out: "Mapping[int, _Search]",
    table: "_ScoreTable",
    settings: GridSettings,
) -> None:
    """All searches, trial by trial, and at last each fold at what was chosen without it."""
    searches = [whole, *leaving_out.values()]
    count = settings.refine.trials + 1
    # disable=None: no bar where the output is no terminal.
    with (
        PageWorkers(settings.workers, settings.ray) as crew,
        tqdm(total=count, desc="refinement", unit="trial", disable=None) as bar,
    ):
        for _ in range(count):
            asked = [search.ask() for search in searches]
            table.fill(crew, list(zip(asked, (s.is_own for s in searches), strict=True)))
            for search, point in zip(searches, asked, strict=True):
                search.tell(float(table[point][search.is_own].mean(axis=0)[2]))
            bar.update()
        table.fill(crew, [(search.best, ~search.is_own) for search in leaving_out.values()])


def _starts_of(
    folds: NDArray[np.int64], fold_starts: Mapping[int, PostprocessSettings] | None
) -> dict[int, PostprocessSettings]:
    """The start of each held-out fold; none where there is one fold only."""
    names = sorted(set(folds.tolist()))
    if len(names) < 2:
        return {}
    given = fold_starts or {}
    missing = [fold for fold in names if fold not in given]
    if missing:
        raise ValueError(
            f"fold_starts lacks the folds {missing}: a start that was chosen on a fold's own pages "
            "makes no honest estimate; give GridResult.fold_choices"
        )
    return {fold: given[fold] for fold in names}


class _Search:
    """One study: it sees the scores of its own pages only."""

    def __init__(self, start: Point, settings: GridSettings, is_own: NDArray[np.bool_]) -> None:
        self.is_own = is_own
        """(pages,) which pages it is scored on."""
        self.points: list[Point] = []
        """What it has asked for."""
        self.best = start
        self.best_hmean = -np.inf
        self._start = start
        self._space = _neighbourhood(start, settings)
        sampler = optuna.samplers.TPESampler(seed=settings.refine.seed, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._study.enqueue_trial({**start._asdict(), "thresh": _level_of(start.thresh)})
        self._trial: optuna.Trial | None = None

    def ask(self) -> Point:
        """The next point; the first is the start."""
        self._trial = self._study.ask(self._space)
        self.points.append(self._read(self._trial.params) if self.points else self._start)
        return self.points[-1]

    def tell(self, hmean: float) -> None:
        """The score of the point that was asked for last."""
        assert self._trial is not None
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


class _ScoreTable:
    """The page scores of all points that were ever tried, each computed once."""

    def __init__(
        self,
        maps: Mapping[str, LoadMap],
        truths: Mapping[str, TruthWords],
        base: PostprocessSettings,
    ) -> None:
        self._tasks = list_tasks(maps, truths)
        self._score = partial(score_page, base=base)
        self._known: dict[Point, PageScores] = {}
        self.pages = list(self._tasks)

    def __getitem__(self, point: Point) -> PageScores:
        """(pages, 3), NaN where the point was not tried."""
        return self._known[point]

    def fill(self, crew: PageWorkers, wanted: Sequence[tuple[Point, NDArray[np.bool_]]]) -> None:
        """Score points on the (pages,) asked for, in one round over the pages."""
        for point, _ in wanted:
            empty = np.full((len(self.pages), len(MEASURES)), np.nan)
            self._known.setdefault(point, empty)
        missing: dict[str, list[Point]] = {}
        for place, page in enumerate(self.pages):
            points = dict.fromkeys(point for point, is_asked in wanted if is_asked[place])
            if new := [point for point in points if np.isnan(self._known[point][place, 0])]:
                missing[page] = new
        tasks = {page: partial(self._load, page, points) for page, points in missing.items()}
        places = {page: place for place, page in enumerate(self.pages)}
        for page, scores in crew.map(self._score, tasks):
            for point, row in zip(missing[page], scores, strict=True):
                self._known[point][places[page]] = row

    def _load(self, page: str, points: list[Point]) -> tuple[object, ...]:
        return (*self._tasks[page](), points)


def _neighbourhood(start: Point, settings: GridSettings) -> dict[str, BaseDistribution]:
    """One step of the grid to each side of the start; where an axis ends, its last step again."""
    ends = {}
    for name, alone in _ALONE.items():
        value, (low, high) = getattr(start, name), _RANGES[name]
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
