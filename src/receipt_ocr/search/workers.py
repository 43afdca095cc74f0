"""Pages worked on by several processes of this machine.

The calling process loads what a page needs and sends it, only a few pages ahead of the work: a
loader need not be picklable, and memory does not grow with the number of pages.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Any, Self, TypeVar

import cv2
from tqdm import tqdm

_AHEAD = 2  # jobs submitted for each process: one in work, one that waits

Result = TypeVar("Result")
Jobs = Mapping[str, Callable[[], tuple[Any, ...]]]
"""Page -> function that loads the arguments of its call."""


class PageExecutor:
    """Calls a function for every page, in processes that stay up until the ``with`` block ends."""

    def __init__(self, workers: int = 1) -> None:
        """Start nothing yet; a single worker is the calling process."""
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Start the processes."""
        if self._workers > 1:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=get_context("spawn"), initializer=_use_one_thread
            )
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes, also after errors."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(
        self, function: Callable[..., Result], jobs: Jobs, title: str | None = None
    ) -> Iterator[tuple[str, Result]]:
        """Call a function for every page.

        Args:
            function: Picklable.
            jobs: Page -> function that loads the arguments; called here, shortly before the page
                is sent.
            title: Title of the progress bar; None shows none.

        Returns:
            Page and result, in the order in which the calls finish.

        Raises:
            RuntimeError: If a process has died.
            Exception: Any error of the function or of loading, with a note that names the page;
                the other pages are given up.
        """
        # disable=None: no bar where the output is no terminal.
        hidden = True if title is None else None
        with tqdm(total=len(jobs), desc=title, unit="page", disable=hidden) as bar:
            run = _run_here(function, jobs) if self._pool is None else self._submit(function, jobs)
            for page, result in run:
                yield page, result
                bar.update()

    def _submit(self, function: Callable[..., Result], jobs: Jobs) -> Iterator[tuple[str, Result]]:
        assert self._pool is not None
        waiting = iter(jobs.items())
        pending: dict[Future[Result], str] = {}
        try:
            while True:
                for page, load in islice(waiting, _AHEAD * self._workers - len(pending)):
                    with note_errors(f"on page {page}"):
                        pending[self._pool.submit(function, *load())] = page
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    page = pending.pop(future)
                    with note_errors(f"on page {page}"):
                        result = future.result()
                    yield page, result
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"a process that works on pages has died ({error}); if the machine is short of "
                "memory, try fewer workers; a script must start the search under "
                "`if __name__ == '__main__':`"
            ) from error
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def note_errors(context: str) -> Iterator[None]:
    """Add a note to any error raised inside, to say what it is about."""
    try:
        yield
    except Exception as error:
        error.add_note(context)
        raise


def _run_here(function: Callable[..., Result], jobs: Jobs) -> Iterator[tuple[str, Result]]:
    for page, load in jobs.items():
        with note_errors(f"on page {page}"):
            result = function(*load())
        yield page, result


def _use_one_thread() -> None:
    """Keep OpenCV from using all cores in each process: the processes share them already."""
    cv2.setNumThreads(1)
