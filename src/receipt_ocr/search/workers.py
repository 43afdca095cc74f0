"""Pages shared out among processes, of this machine or of a Ray cluster.

What a page needs is loaded in the calling process and sent, only a few pages ahead of the work:
a loader need not be picklable, and memory does not grow with the number of pages.
"""

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import cv2
from tqdm import tqdm

import receipt_ocr
from receipt_ocr.fan_out.ray_connection import connect_ray, import_ray

__all__ = ["PageWorkers", "Tasks"]

_INSTEAD = "leave ray empty and give the number of workers"

_AHEAD = 2  # pages under way for each process: one in work, one that waits
_STORE_BYTES = 256_000_000  # of a local Ray's object store; a page's map takes about 1 MB

Result = TypeVar("Result")
Arguments = tuple[Any, ...]
Tasks = Mapping[str, Callable[[], Arguments]]
"""Page -> what makes the arguments of its call."""


class _Crew(Protocol):
    """Who works on pages; tickets stand for calls under way."""

    room: int
    """At most this many calls are under way."""

    def submit(self, function: Callable[..., Any], arguments: Arguments) -> Any:
        """Hand over a call; its ticket."""

    def wait(self, tickets: list[Any]) -> list[Any]:
        """Those of the calls that have ended, one at least."""

    def result(self, ticket: Any) -> Any:
        """What an ended call has returned, or its error."""

    def cancel(self, tickets: list[Any]) -> None:
        """Give up calls."""

    def close(self) -> None:
        """End all processes."""


class PageWorkers:
    """Processes that stay up for several rounds over pages, until the ``with`` block is left."""

    def __init__(self, workers: int = 1, ray: str | None = None) -> None:
        """Nothing is started yet.

        Args:
            workers: Processes of this machine; 1 works in the calling process.
            ray: None, ``local`` for a Ray of its own on this machine, ``auto`` for the cluster
                that the machine belongs to, or ``HOST:PORT``. Ray gives each page one CPU, of
                all that it has; ``workers`` has no say then.
        """
        self._workers = workers
        self._address = ray
        self._crew: _Crew | None = None

    def __enter__(self) -> Self:
        """Start the processes, or join the cluster.

        Raises:
            ValueError: If Ray is asked for but not installed, or nobody answers at the address.
        """
        if self._address is not None:
            self._crew = _RayCrew(self._address)
        elif self._workers > 1:
            self._crew = _PoolCrew(self._workers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what was started, also after errors."""
        if self._crew is not None:
            self._crew.close()
            self._crew = None

    def map(
        self, function: Callable[..., Result], tasks: Tasks, title: str | None = None
    ) -> Iterator[tuple[str, Result]]:
        """Call a function for every page.

        Args:
            function: Picklable.
            tasks: Page -> what makes the arguments; called here, when the page's turn is near.
            title: Of the progress bar; None shows none.

        Returns:
            Page and result, in any order.

        Raises:
            RuntimeError: If a process has died.
            Exception: What the function or a task raises, with a note that names the page; the
                other pages are given up.
        """
        # disable=None: no bar where the output is no terminal.
        hidden = True if title is None else None
        with tqdm(total=len(tasks), desc=title, unit="page", disable=hidden) as bar:
            run = _run_here if self._crew is None else partial(_share_out, self._crew)
            for page, result in run(function, tasks):
                yield page, result
                bar.update()


@contextmanager
def _naming(page: str) -> Iterator[None]:
    """Errors inside say which page they are about."""
    try:
        yield
    except Exception as error:
        error.add_note(f"on page {page}")
        raise


def _run_here(function: Callable[..., Result], tasks: Tasks) -> Iterator[tuple[str, Result]]:
    for page, make in tasks.items():
        with _naming(page):
            result = function(*make())
        yield page, result


def _share_out(
    crew: _Crew, function: Callable[..., Result], tasks: Tasks
) -> Iterator[tuple[str, Result]]:
    """One round of calls."""
    waiting = list(tasks.items())[::-1]
    pending: dict[Any, str] = {}
    try:
        while waiting or pending:
            while waiting and len(pending) < crew.room:
                page, make = waiting.pop()
                with _naming(page):
                    pending[crew.submit(function, make())] = page
            for ticket in crew.wait(list(pending)):
                page = pending.pop(ticket)
                with _naming(page):
                    result = crew.result(ticket)
                yield page, result
    finally:
        crew.cancel(list(pending))


class _PoolCrew:
    """Processes of this machine."""

    def __init__(self, workers: int) -> None:
        self.room = _AHEAD * workers
        self._pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_use_one_thread
        )

    def submit(self, function: Callable[..., Any], arguments: Arguments) -> "Future[Any]":
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool as error:
            raise _death(error) from error

    def wait(self, tickets: "list[Future[Any]]") -> "list[Future[Any]]":
        return list(wait(tickets, return_when=FIRST_COMPLETED).done)

    def result(self, ticket: "Future[Any]") -> Any:
        try:
            return ticket.result()
        except BrokenProcessPool as error:
            raise _death(error) from error

    def cancel(self, tickets: "list[Future[Any]]") -> None:
        for ticket in tickets:
            ticket.cancel()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _RayCrew:
    """The CPUs of a Ray, one for each page."""

    def __init__(self, address: str) -> None:
        self._ray = import_ray(f"ray: {address}", _INSTEAD)
        self._is_own = not self._ray.is_initialized()
        if self._is_own:
            connect_ray(self._ray, address, _STORE_BYTES, f"ray: {address}", _INSTEAD)
        cpus = int(self._ray.cluster_resources().get("CPU", 1.0))
        self.room = _AHEAD * max(cpus, 1)
        self._call = _make_call(self._ray)
        self._source = str(Path(receipt_ocr.__file__).parents[1])

    def submit(self, function: Callable[..., Any], arguments: Arguments) -> Any:
        # Pickled here: a worker must know where the package is before it reads the call.
        return self._call.remote(pickle.dumps((function, arguments)), self._source)

    def wait(self, tickets: list[Any]) -> list[Any]:
        ready, _ = self._ray.wait(tickets, num_returns=1)
        return list(ready)

    def result(self, ticket: Any) -> Any:
        try:
            return self._ray.get(ticket)
        except self._ray.exceptions.RayTaskError as error:  # the function's own
            raise error.cause from error
        except self._ray.exceptions.RayError as error:  # its worker or machine is gone
            raise _death(error) from error

    def cancel(self, tickets: list[Any]) -> None:
        for ticket in tickets:
            self._ray.cancel(ticket)

    def close(self) -> None:
        if self._is_own:
            self._ray.shutdown()


def _make_call(ray: Any) -> Any:
    # A function within another: Ray sends it whole, where a module's would be imported by name.
    def call(pickled: bytes, source: str) -> Any:
        if source not in sys.path:  # the worker's machine need not have the package installed
            sys.path.insert(0, source)
        cv2.setNumThreads(1)
        function, arguments = pickle.loads(pickled)
        return function(*arguments)

    return ray.remote(num_cpus=1)(call)


def _use_one_thread() -> None:
    """The processes share the cores already."""
    cv2.setNumThreads(1)


def _death(error: Exception) -> RuntimeError:
    return RuntimeError(
        f"a process that works on pages has died ({error}); if the machine is short of memory, try "
        "fewer workers; a script must start the search under `if __name__ == '__main__':`"
    )
