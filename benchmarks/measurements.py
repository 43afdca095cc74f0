"""Runs every measurement on its pages."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.flat_memory import measure_flatness
from benchmarks.frames import FrameTimes, measure_frames
from benchmarks.grid import GridTimes, measure_grid
from benchmarks.loader import LoaderTimes, measure_loader
from benchmarks.memory import measure_peaks
from benchmarks.offsets import OFFSETTING, time_offsets
from benchmarks.page_sets import BenchmarkPage, drawn_page, recorded_pages
from benchmarks.steps import STEPS
from benchmarks.timing import best_time, compare
from benchmarks.training_step import StepTimes, measure_training_step

GROWTH_WORDS = (10, 30, 100, 300, 1000)
GRID_PAGES = 100
ENCODERS = ("tf_efficientnet_lite0", "resnet18")
MEMORY_PAGE = (1000, 24, 1280)  # words, points, map side


@dataclass(frozen=True)
class Step:
    """A step on a set of pages, means a page in milliseconds."""

    step: str
    pages: str
    words: float
    points: float
    """Mean number of points of a detection."""
    plain: float
    fast: float
    ratio: float
    offsets: float | None = None
    """Part of ``fast`` in pyclipper, which both ways need; None for CLEval."""


@dataclass(frozen=True)
class Growth:
    """Milliseconds of a step by number of words."""

    step: str
    points: int
    times: dict[int, float]


@dataclass(frozen=True)
class Peaks:
    """Peak memory of each step on a page in MiB."""

    words: int
    points: int
    size: int
    """Side of the map in pixels."""
    peaks: dict[str, float]


@dataclass
class Measurements:
    """All figures of a run."""

    steps: list[Step] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    grid: GridTimes | None = None
    peaks: Peaks | None = None
    training_step: StepTimes | None = None
    loader: LoaderTimes | None = None
    frames: list[FrameTimes] = field(default_factory=list)
    epoch_peaks: list[float] = field(default_factory=list)
    """Peak memory of a training after each epoch in MiB."""


def measure(reference: Path, *, is_quick: bool = False) -> Measurements:
    """Measure everything, or a few pages only, to see that everything runs.

    The reference folder holds the recorded pages and the SROIE receipts; either may be missing.
    """
    logging.getLogger("receipt_ocr").setLevel(logging.ERROR)  # candidates cut by the grid
    recorded = recorded_pages(reference / "golden")[: 2 if is_quick else None]
    figures = Measurements()
    sets = _page_sets(recorded, is_quick)
    with tqdm(total=len(sets) * len(STEPS) + 7, desc="benchmarks", disable=None) as bar:
        for name, pages in sets.items():
            for step in _measure_set(name, pages):
                figures.steps.append(step)
                bar.update()
        figures.growth = list(_measure_growth(GROWTH_WORDS[: 2 if is_quick else None]))
        bar.update()
        figures.grid = measure_grid(_grid_pages(recorded, is_quick), 4 if is_quick else 100)
        bar.update()
        page = (20, 24, 1280) if is_quick else MEMORY_PAGE
        if peaks := measure_peaks(*page):
            figures.peaks = Peaks(*page, peaks)
        bar.update()
        sroie = reference / "data" / "sroie"
        figures.training_step = measure_training_step(sroie)
        bar.update()
        figures.loader = measure_loader(sroie, 4 if is_quick else 48)
        bar.update()
        figures.frames = measure_frames(sroie, ENCODERS, 1 if is_quick else 4)
        bar.update()
        figures.epoch_peaks = measure_flatness(sroie, *((4, 2) if is_quick else ()))
        bar.update()
    return figures


def _page_sets(recorded: list[BenchmarkPage], is_quick: bool) -> dict[str, Sequence[BenchmarkPage]]:
    seeds = range(1 if is_quick else 3)
    drawn = {
        f"drawn, {words} words of {points} points": [
            drawn_page(words, points, seed=seed) for seed in seeds
        ]
        for words, points in ((60, 4), (60, 24), (150, 4), (150, 24), (200, 4), (200, 24))
    }
    sets: dict[str, Sequence[BenchmarkPage]] = {"recorded": recorded} if recorded else {}
    full = [page for page in recorded if 50 <= len(page.truth) <= 70]
    if full:
        sets["recorded, 50 to 70 words"] = full
    return sets | drawn


def _measure_set(name: str, pages: Sequence[BenchmarkPage]) -> Iterator[Step]:
    words = float(np.mean([len(page.truth) for page in pages]))
    points = float(np.mean([len(d) for page in pages for d in page.detections]))
    for step, calls in STEPS.items():
        times = compare([calls(page) for page in pages])
        offsets = None
        if step in OFFSETTING:
            offsets = float(np.mean([time_offsets(step, page) for page in pages]))
        title = f"{len(pages)} {name}"
        yield Step(step, title, words, points, times.plain, times.fast, times.ratio, offsets)


def _measure_growth(numbers: Sequence[int]) -> Iterator[Growth]:
    for points in (4, 24):
        pages = {words: drawn_page(words, points) for words in numbers}
        for step, calls in STEPS.items():
            times = {words: best_time(calls(page)[1], 10) for words, page in pages.items()}
            yield Growth(step, points, times)


def _grid_pages(recorded: list[BenchmarkPage], is_quick: bool) -> list[BenchmarkPage]:
    """The recorded pages, filled up with drawn ones of 40 to 150 words, half of each kind."""
    count = 3 if is_quick else GRID_PAGES
    drawn = [
        drawn_page(40 + (37 * seed) % 111, (4, 24)[seed % 2], seed=seed)
        for seed in range(count - len(recorded))
    ]
    return [*recorded, *drawn]
