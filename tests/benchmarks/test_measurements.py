"""The benchmarks measure what they say: the same pages, settings and results in every way."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.flat_memory import measure_flatness
from benchmarks.frames import FrameTimes, measure_frames
from benchmarks.grid import BASE, GRID, measure_grid
from benchmarks.loader import LoaderTimes, measure_loader
from benchmarks.measurements import Growth, Measurements, Peaks, Step
from benchmarks.memory import measure_peaks
from benchmarks.offsets import OFFSETTING, time_offsets
from benchmarks.page_sets import drawn_page, recorded_pages
from benchmarks.plain_loader import draw_sample
from benchmarks.sroie import read_pages
from benchmarks.steps import STEPS, anew, plain_anew
from benchmarks.tables import write_tables
from benchmarks.timing import best_time, compare
from benchmarks.training_step import StepTimes, measure_training_step
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.receipts.samples import TrainingSamples
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings


def test_a_comparison_is_a_ratio_of_best_times_a_page() -> None:
    def wait(milliseconds: float) -> object:
        return time.sleep(milliseconds / 1000)

    times = compare([(lambda: wait(40), lambda: wait(4)), (lambda: wait(20), lambda: wait(2))], 2)
    assert 30 <= times.plain < 60
    assert 3 <= times.fast < times.plain / 3
    assert times.ratio == times.plain / times.fast


@pytest.mark.parametrize("points", [4, 24])
@pytest.mark.parametrize(
    "settings", [BASE, BASE.model_copy(update={"thresh": 0.5, "box_thresh": 0.6})]
)
def test_a_page_scores_the_same_in_the_plain_way_and_in_ours(
    points: int, settings: PostprocessSettings
) -> None:
    page = drawn_page(40, points, seed=3)
    score = anew(page, settings)
    assert score == pytest.approx(plain_anew(page, settings), abs=1e-12)
    assert score > 0.8


def test_recorded_pages_are_those_beside_the_project(shared: Path, tmp_path: Path) -> None:
    pages = recorded_pages(shared / "golden")
    assert len(pages) == 24
    assert {page.stored_map.shape for page in pages} == {(960, 960)}
    words = np.concatenate([word for page in pages for word in page.framed_words])
    assert words.min() > -5
    assert words.max() < 965
    assert recorded_pages(tmp_path) == []


def test_offsets_are_a_part_of_their_step() -> None:
    page = drawn_page(30, 8, size=640)
    for step in OFFSETTING:
        whole = best_time(STEPS[step](page)[1])
        assert 0.1 < time_offsets(step, page) < whole


def test_the_search_is_timed_whole_and_the_other_ways_are_scaled() -> None:
    times = measure_grid([drawn_page(10, 4, size=320)], sample=2)
    assert times.settings == len(GRID.thresh) * len(GRID.box_thresh) * len(GRID.unclip_ratio)
    assert times.settings == 320
    assert 0 < times.search < times.own < times.plain


def test_peaks_are_measured_in_a_process_of_their_own() -> None:
    peaks = measure_peaks(10, 4, 640)
    if peaks is None:
        pytest.skip("this system does not tell the peak memory of a process")
    assert set(peaks) == set(STEPS)
    # A map of 640 x 640 float32 and three of bytes are 2.7 MiB.
    assert 2.5 <= peaks["targets"] < 60


def test_without_receipts_no_training_is_measured(tmp_path: Path) -> None:
    assert measure_training_step(tmp_path) is None
    assert measure_loader(tmp_path) is None
    assert measure_frames(tmp_path, ("resnet18",)) == []
    assert measure_flatness(tmp_path) == []


def test_the_plain_loader_draws_the_same_sample(shared: Path) -> None:
    page = read_pages(shared / "data" / "sroie", "train")[0]
    still = {"rotation": 0.0, "brightness": 0.0, "contrast": 0.0}
    plain = draw_sample(page.path, page.polygons, 320, **still)
    # Mirrored or not by chance: both are as likely, and either is compared with its like.
    frame, targets = FrameSettings(sizes={0: 320}), TargetSettings(min_height=0.0)
    changes = [AugmentationSettings(horizontal_flip=flip) for flip in (0.0, 1.0)]
    samples = [TrainingSamples([page], frame, change, targets, (0, 0))[0] for change in changes]
    kernels = plain["shrink_map"]
    overlaps = [(s["shrink_map"] * _centred(kernels, s)).sum() for s in samples]
    assert max(overlaps) > 0.9 * max(1, kernels.sum())


def _centred(plain: NDArray[Any], sample: dict[str, Any]) -> NDArray[Any]:
    """The plain map moved to where the sample's page lies: its padding is drawn at random."""
    ink = [np.flatnonzero(sample["image"].any(axis=axes)) for axes in ((0, 2), (0, 1))]
    shift = [round((where[0] + where[-1] - 319) / 2) for where in ink]
    return np.roll(plain, shift, axis=(1, 2))


def test_the_tables_show_every_figure() -> None:
    figures = Measurements(
        steps=[Step("CLEval", "3 drawn", 60.0, 4.0, 123.4, 2.5, 49.36)],
        peaks=Peaks(20, 4, 640, {"targets": 6.4}),
        growth=[Growth("targets", 24, {100: 2.0, 1000: 20.0})],
        training_step=StepTimes(80, 0.5, 1.75),
        loader=LoaderTimes(10.0, 40.0, 65.0, 80.0),
        frames=[FrameTimes("resnet18", 600.0, 300.0)],
        epoch_peaks=[900.0, 1000.0],
    )
    text = write_tables(figures, {"Python": "3.11.7"})
    assert "Python 3.11.7" in text
    assert "| CLEval | 3 drawn | 60 | 4 | 123.4 | 2.50 | 49.4x | –" in text  # noqa: RUF001
    assert "| targets | 24 | 2.00 | 20.00 | 1.00 |" in text  # ten times the words and the time
    assert "| step, 20 words of 4 points at 640 px | peak MiB |" in text
    assert "| targets | 6 |" in text
    assert "| one training step of conf/sroie | 1.75 |" in text
    assert "| ours, decoded pages at hand | 65.0 | 6.5x |" in text
    assert "| resnet18 | 600 | 300 | 2.00x |" in text
    assert "| MiB | 900 | 1000 |" in text
