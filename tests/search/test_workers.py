"""Pages in processes of this machine."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from receipt_ocr.search.workers import Jobs, PageExecutor

# Other processes find a function by its name: functions of libraries, none of this file.


def map_pages(function: Callable[..., Any], jobs: Jobs, workers: int) -> dict[str, Any]:
    with PageExecutor(workers) as executor:
        return dict(executor.map(function, jobs))


def jobs_of(count: int, loaded: list[int] | None = None) -> dict[str, Callable[[], Any]]:
    def load(number: int) -> tuple[Any, ...]:
        if loaded is not None:
            loaded.append(number)
        return number, 2

    return {f"page_{number}": partial(load, number) for number in range(count)}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_page_comes_with_its_result(workers: int) -> None:
    results = map_pages(pow, jobs_of(9), workers)
    assert results == {f"page_{number}": number**2 for number in range(9)}


def test_processes_stay_for_several_rounds_and_few_pages_are_loaded_ahead() -> None:
    with PageExecutor(2) as executor:
        nothing = {str(number): tuple for number in range(8)}
        first = {pid for _, pid in executor.map(os.getpid, nothing)}
        second = {pid for _, pid in executor.map(os.getpid, nothing)}
        assert len(first | second) <= 2
        assert os.getpid() not in first
        loaded: list[int] = []
        done = 0
        for _ in executor.map(pow, jobs_of(20, loaded)):
            done += 1
            assert len(loaded) <= done + 4
        assert done == 20


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_page(workers: int) -> None:
    jobs = {**jobs_of(3), "torn": lambda: (0, -1), "last": lambda: (1, 1)}
    with pytest.raises(ZeroDivisionError) as caught:
        map_pages(pow, jobs, workers)
    assert "on page torn" in caught.value.__notes__

    def lost() -> Any:
        raise FileNotFoundError("torn.png")

    with pytest.raises(FileNotFoundError) as missing:
        map_pages(pow, {"torn": lost}, workers)
    assert missing.value.__notes__ == ["on page torn"]


def test_a_process_that_dies_is_told_of() -> None:
    with pytest.raises(RuntimeError, match=r"has died .*try fewer workers"):
        map_pages(os._exit, {"a": lambda: (1,)}, workers=2)
