"""Time and memory of an ensemble and of a search over stored maps, at the size of a data set.

A command of its own: it takes minutes, and its figures are of whole stages, not of steps.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks.memory import STATUS, read_status
from benchmarks.page_sets import BenchmarkPage, drawn_page, recorded_pages
from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset
from receipt_ocr.decoding.decode import decode_maps, score_maps
from receipt_ocr.decoding.ensemble import vote
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, prepare_truth
from receipt_ocr.search.grid import search_grid
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.settings import GridSettings

PROJECT = Path(__file__).resolve().parents[1]
MEMBERS = 5
GRID = GridSettings(
    thresh=(0.15, 0.2, 0.25, 0.3, 0.36, 0.45),
    box_thresh=(0.25, 0.35, 0.45, 0.55, 0.65),
    unclip_ratio=(1.4, 1.6, 1.8, 2.0, 2.2),
    min_size=(2.0, 3.0, 5.0, 8.0),
)
"""6 x 5 x 5 x 4 = 600 settings."""

CHEAP_GRID = GridSettings(
    thresh=(0.3,),
    box_thresh=tuple(np.round(np.linspace(0.2, 0.8, 30), 3).tolist()),
    unclip_ratio=(1.8,),
    min_size=tuple(float(size) for size in range(20)),
)
"""As many settings that cost next to nothing, to see the memory that many pages take."""


class Cost(NamedTuple):
    """Time and memory of a stage, from the first map that is read to the last result."""

    seconds: float
    peak: float
    """MiB of the process at most, libraries included."""


def measure_vote(pages: Sequence[BenchmarkPage], count: int, folder: Path) -> Cost:
    """Average five members' stored maps, store the mean, decode and score it.

    The pages are repeated until there are ``count``; the folder takes the maps.
    """
    names, truths = _name_pages(pages, count)
    members = {}
    for member in range(MEMBERS):
        dataset = ProbabilityMapsDataset(filepath=str(folder / f"{count}_{member}"))
        dataset.save(LazyMaps({n: partial(_as_map, page, member) for n, page in names.items()}))
        members[f"fold_{member}"] = dataset.load()
    mean = ProbabilityMapsDataset(filepath=str(folder / f"{count}_mean"))
    return _in_own_process(_vote, members, mean, truths)


def measure_search(
    pages: Sequence[BenchmarkPage], count: int, folder: Path, grid: GridSettings
) -> Cost:
    """Score every setting of the grid on stored maps, as many as for :func:`measure_vote`."""
    names, truths = _name_pages(pages, count)
    dataset = ProbabilityMapsDataset(filepath=str(folder / f"{count}_searched"))
    dataset.save(LazyMaps({name: partial(_as_map, page, 0) for name, page in names.items()}))
    return _in_own_process(_search, dataset.load(), truths, grid)


def _name_pages(
    pages: Sequence[BenchmarkPage], count: int
) -> tuple[dict[str, BenchmarkPage], dict[str, TruthWords]]:
    names = {f"{number:05d}": pages[number % len(pages)] for number in range(count)}
    prepared = [prepare_truth(page.truth) for page in pages]
    truths = {name: prepared[number % len(pages)] for number, name in enumerate(names)}
    return names, truths


def _as_map(page: BenchmarkPage, member: int) -> ProbabilityMap:
    """Copy the page's map as a member might see it: a little moved, so that the mean is blurred."""
    moved = np.roll(page.stored_map, (member - MEMBERS // 2) // 2, axis=1)
    return ProbabilityMap(moved, page.map_to_page, *page.size)


def _in_own_process(call: Callable[..., Cost], *arguments: object) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def _vote(
    members: dict[str, dict[str, LoadMap]],
    mean: ProbabilityMapsDataset,
    truths: dict[str, TruthWords],
) -> Cost:
    start = time.perf_counter()
    mean.save(vote(members))
    maps, settings = mean.load(), PostprocessSettings()
    for _ in decode_maps(maps, settings):
        pass
    score_maps(maps, truths, settings)
    return Cost(time.perf_counter() - start, read_status("VmHWM") / 1024.0)


def _search(maps: dict[str, LoadMap], truths: dict[str, TruthWords], grid: GridSettings) -> Cost:
    start = time.perf_counter()
    with ScoreTable(maps, truths, PostprocessSettings(), workers=grid.workers) as table:
        search_grid(table, grid)
    return Cost(time.perf_counter() - start, read_status("VmHWM") / 1024.0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.voting",
        description="Seconds and memory of an ensemble of five members and of a search over 600 "
        "settings, on stored maps. Takes some minutes.",
    )
    parser.add_argument("--votes", type=int, default=82, help="pages of the ensemble")
    parser.add_argument("--searched", type=int, default=328, help="pages of the search")
    parser.add_argument("--workers", type=int, default=2, help="processes of the search")
    parser.add_argument(
        "--repeat", type=int, default=10, help="how many times the pages, to see memory"
    )
    parser.add_argument(
        "--golden",
        type=Path,
        default=PROJECT.parent / "shared" / "golden",
        help="recorded pages; without them pages are drawn (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    """Measure and print a table."""
    options = _parse()
    pages = recorded_pages(options.golden) or [drawn_page(60, 24, seed=n) for n in range(8)]
    shared = {"workers": options.workers}
    grid = GRID.model_copy(update=shared)
    search = partial(measure_search, pages)
    rows = []
    with TemporaryDirectory() as folder:
        for count in (options.votes, options.votes * options.repeat):
            rows.append((f"ensemble of {MEMBERS}", count, measure_vote(pages, count, Path(folder))))
        count = options.searched
        rows.append(("search of 600 settings", count, search(count, Path(folder), grid)))
        cheap, count = CHEAP_GRID.model_copy(update=shared), count * options.repeat
        rows.append(("search of 600 cheap ones", count, search(count, Path(folder), cheap)))
    lines = ["| stage | pages | s | peak MiB |", "| :--- | ---: | ---: | ---: |"]
    for name, count, cost in rows:
        lines.append(f"| {name} | {count} | {cost.seconds:.1f} | {cost.peak:.0f} |")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    if not STATUS.exists():
        raise SystemExit(f"memory is read from {STATUS}, which this system lacks")
    main()
