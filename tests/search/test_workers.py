"""Pages in processes of this machine and on Ray."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import prepare_truth
from receipt_ocr.fan_out import ray_connection
from receipt_ocr.search.grid import search_grid
from receipt_ocr.search.settings import GridSettings
from receipt_ocr.search.workers import PageWorkers, Tasks

# What is called is found by name in other processes: functions of libraries, none of this file.


def map_pages(
    function: Callable[..., Any], tasks: Tasks, *, workers: int, ray: str | None, title: str | None
) -> Iterator[tuple[str, Any]]:
    """One round."""
    with PageWorkers(workers, ray) as crew:
        yield from crew.map(function, tasks, title)


def tasks_of(count: int, loaded: list[int] | None = None) -> dict[str, Callable[[], Any]]:
    def make(number: int) -> tuple[Any, ...]:
        if loaded is not None:
            loaded.append(number)
        return number, 2

    return {f"page_{number}": partial(make, number) for number in range(count)}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_page_comes_with_its_result(workers: int) -> None:
    results = dict(map_pages(pow, tasks_of(9), workers=workers, ray=None, title=None))
    assert results == {f"page_{number}": number**2 for number in range(9)}


def test_processes_stay_for_several_rounds_and_few_pages_are_loaded_ahead() -> None:
    with PageWorkers(2) as crew:
        first = {pid for _, pid in crew.map(os.getpid, {str(n): tuple for n in range(8)})}
        second = {pid for _, pid in crew.map(os.getpid, {str(n): tuple for n in range(8)})}
        assert len(first | second) <= 2
        assert os.getpid() not in first
        loaded: list[int] = []
        done = 0
        for _ in crew.map(pow, tasks_of(20, loaded)):
            done += 1
            assert len(loaded) <= done + 4
        assert done == 20


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_page(workers: int) -> None:
    tasks: dict[str, Callable[[], Any]] = {
        **tasks_of(3),
        "torn": lambda: (0, -1),
        "last": lambda: (1, 1),
    }
    with pytest.raises(ZeroDivisionError) as caught:
        list(map_pages(pow, tasks, workers=workers, ray=None, title=None))
    assert "on page torn" in caught.value.__notes__

    def lost() -> Any:
        raise FileNotFoundError("torn.png")

    with pytest.raises(FileNotFoundError) as missing:
        list(map_pages(pow, {"torn": lost}, workers=workers, ray=None, title=None))
    assert missing.value.__notes__ == ["on page torn"]


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(RuntimeError, match=r"has died .*try fewer workers"):
        list(map_pages(os._exit, {"a": lambda: (1,)}, workers=2, ray=None, title=None))


def test_without_ray_an_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(ray_connection, "import_module", refuse)
    with pytest.raises(ValueError, match=r'ray: local needs Ray.*"receipt_ocr\[ray\]"'):
        list(map_pages(pow, tasks_of(1), workers=1, ray="local", title=None))


def test_ray_finds_what_one_process_finds() -> None:
    ray = pytest.importorskip("ray")
    random = np.random.default_rng(0)
    maps, truths = {}, {}
    for number in range(3):
        values = np.zeros((120, 160), dtype=np.float32)
        values[20:32, 20:90], values[60:72, 30:120] = random.uniform(0.3, 1.0, 2)
        page = ProbabilityMap.from_probability(values, np.eye(3), 160, 120)
        maps[f"page_{number}"] = partial(lambda own: own, page)
        words = [
            [[16, 15], [94, 15], [94, 37], [16, 37]],
            [[26, 55], [124, 55], [124, 77], [26, 77]],
        ]
        truths[f"page_{number}"] = prepare_truth(words)
    grid = GridSettings(thresh=(0.2, 0.5), box_thresh=(0.3, 0.6), unclip_ratio=(1.5, 2.5))
    groups = {page: number % 2 for number, page in enumerate(maps)}
    base = PostprocessSettings()
    alone = search_grid(maps, truths, grid, base, groups)
    with PageWorkers(ray="local") as crew:
        on_ray = search_grid(maps, truths, grid.model_copy(update={"ray": "auto"}), base, groups)
        assert ray.is_initialized()  # who found a Ray running leaves it so
        with pytest.raises(ValueError, match="base is not invertible") as caught:
            list(crew.map(pow, {"torn": lambda: (2, -1, 4), **tasks_of(5)}))
        assert "on page torn" in caught.value.__notes__
    assert not ray.is_initialized()
    assert on_ray == alone
    assert len({row["hmean"] for row in alone.rows}) > 1
