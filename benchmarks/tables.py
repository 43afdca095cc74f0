"""The figures as Markdown."""

import math

from benchmarks.frames import FrameTimes
from benchmarks.grid import GridTimes
from benchmarks.loader import LoaderTimes
from benchmarks.measurements import Growth, Measurements, Peaks
from benchmarks.training_step import StepTimes
from receipt_ocr.report.markdown import NOTHING, format_table


def write_tables(figures: Measurements, machine: dict[str, str]) -> str:
    """All figures of a run on a machine as one Markdown text."""
    parts = [", ".join(f"{name} {value}" for name, value in machine.items())]
    rows = [
        (
            step.step,
            step.pages,
            f"{step.words:.0f}",
            f"{step.points:.0f}",
            f"{step.plain:.1f}",
            f"{step.fast:.2f}",
            f"{step.ratio:.1f}x",
            NOTHING if step.offsets is None else f"{step.offsets:.2f}",
        )
        for step in figures.steps
    ]
    header = ("step", "pages", "words", "points", "plain ms", "ours ms", "faster", "in pyclipper")
    parts.append(format_table(header, rows, left=2))
    if figures.growth:
        parts.append(_write_growth(figures.growth))
    if figures.grid:
        parts.append(_write_grid(figures.grid))
    if figures.peaks:
        parts.append(_write_peaks(figures.peaks))
    if figures.training_step:
        parts.append(_write_training_step(figures.training_step))
    if figures.loader:
        parts.append(_write_loader(figures.loader))
    if figures.frames:
        parts.append(_write_frames(figures.frames))
    if figures.epoch_peaks:
        parts.append(_write_epoch_peaks(figures.epoch_peaks))
    return "\n\n".join(parts)


def _write_growth(growth: list[Growth]) -> str:
    numbers = list(growth[0].times)
    rows = [
        (
            row.step,
            row.points,
            *(f"{time:.2f}" for time in row.times.values()),
            f"{_exponent(row.times):.2f}",
        )
        for row in growth
    ]
    header = ("ms a page by words", "points", *map(str, numbers), "exponent of the last step")
    return format_table(header, rows)


def _exponent(times: dict[int, float]) -> float:
    """Fit a power law through the two largest numbers of words; an exponent of 1 is linear."""
    (few, short), (many, long) = list(times.items())[-2:]
    return math.log(long / short) / math.log(many / few)


def _write_grid(grid: GridTimes) -> str:
    rows = [
        ("the search", f"{grid.search:.1f}", ""),
        ("plain versions anew", f"{grid.plain:.0f}", f"{grid.plain / grid.search:.0f}x"),
        ("our functions anew", f"{grid.own:.0f}", f"{grid.own / grid.search:.1f}x"),
    ]
    title = f"{grid.settings} settings on {grid.pages} pages"
    return format_table((title, "s", "the search is faster"), rows)


def _write_peaks(page: Peaks) -> str:
    rows = [(step, f"{peak:.0f}") for step, peak in page.peaks.items()]
    title = f"step, {page.words} words of {page.points} points at {page.size} px"
    return format_table((title, "peak MiB"), rows)


def _write_training_step(times: StepTimes) -> str:
    rows = [
        (f"decode and score {times.pages} SROIE pages", f"{times.decode_and_score:.2f}"),
        ("one training step of conf/sroie", f"{times.training_step:.2f}"),
    ]
    return format_table(("validation against training", "s"), rows)


def _write_loader(loader: LoaderTimes) -> str:
    rows = [
        ("straightforward: photo, albumentations, plain targets", f"{loader.plain:.1f}", ""),
        *(
            (name, f"{rate:.1f}", f"{rate / loader.plain:.1f}x")
            for name, rate in (
                ("ours, first epoch", loader.first_epoch),
                ("ours, decoded pages at hand", loader.square),
                ("ours, the same in frames of the pages' shapes", loader.whole_pages),
            )
        ),
    ]
    return format_table(("loader, whole SROIE pages", "pages a second", "faster"), rows)


def _write_frames(frames: list[FrameTimes]) -> str:
    rows = [
        (row.encoder, f"{row.square:.0f}", f"{row.whole_pages:.0f}", f"{row.ratio:.2f}x")
        for row in frames
    ]
    header = ("training step, ms a page", "square letterbox", "pages' own shapes", "faster")
    return format_table(header, rows)


def _write_epoch_peaks(peaks: list[float]) -> str:
    header = ("peak memory of a training", *(f"epoch {epoch}" for epoch in range(len(peaks))))
    return format_table(header, [("MiB", *(f"{peak:.0f}" for peak in peaks))])
