"""A search over post-processing settings against calling everything anew for every setting."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.page_sets import BenchmarkPage
from benchmarks.steps import anew, plain_anew
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import prepare_truth
from receipt_ocr.search.grid import SearchResult, search_grid
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.settings import GridSettings

GRID = GridSettings(
    thresh=(0.15, 0.2, 0.25, 0.29, 0.33, 0.38, 0.44, 0.5),
    box_thresh=(0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6),
    unclip_ratio=(1.4, 1.6, 1.8, 2.0, 2.2),
)
"""8 x 8 x 5 = 320 settings."""

BASE = PostprocessSettings(candidate_order="contour")


@dataclass(frozen=True)
class GridTimes:
    """Seconds that all settings on all pages take."""

    pages: int
    settings: int
    search: float
    plain: float
    """Scaled from a sample of calls, as the next one."""
    own: float
    """The package's own functions, called anew for every setting."""


def measure_grid(pages: Sequence[BenchmarkPage], sample: int = 100) -> GridTimes:
    """Time a whole search, and in both other ways a sample of (page, setting), scaled."""
    _search(pages[:1])  # compiles
    start = time.perf_counter()
    result = _search(pages)
    search = time.perf_counter() - start
    points = [
        BASE.model_copy(update={key: row[key] for key in ("thresh", "box_thresh", "unclip_ratio")})
        for row in result.rows
    ]
    rng = np.random.default_rng(0)
    drawn = [
        (pages[int(rng.integers(len(pages)))], points[int(rng.integers(len(points)))])
        for _ in range(sample)
    ]
    scale = len(pages) * len(points) / sample
    plain, own = (scale * _time_calls(call, drawn) for call in (plain_anew, anew))
    return GridTimes(len(pages), len(points), search, plain, own)


def _search(pages: Sequence[BenchmarkPage]) -> SearchResult:
    loaders, truths = {}, {}
    for name, page in zip(map(str, range(len(pages))), pages, strict=True):
        kept = ProbabilityMap(page.stored_map, page.map_to_page, *page.size)
        loaders[name] = lambda kept=kept: kept
        truths[name] = prepare_truth(page.truth)
    with ScoreTable(loaders, truths, BASE) as table:
        return search_grid(table, GRID)


def _time_calls(
    call: Callable[[BenchmarkPage, PostprocessSettings], float],
    drawn: Sequence[tuple[BenchmarkPage, PostprocessSettings]],
) -> float:
    call(*drawn[0])
    start = time.perf_counter()
    for page, settings in drawn:
        call(page, settings)
    return time.perf_counter() - start
