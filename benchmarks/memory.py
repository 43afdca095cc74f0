"""Peak memory of a step on a page, in a process of its own."""

import ctypes
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.page_sets import drawn_page
from benchmarks.steps import STEPS

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def measure_peaks(words: int, points: int, size: int) -> dict[str, float] | None:
    """Step -> MiB that a page takes at most beyond what the process held before.

    It is None where the system does not tell (it is read from Linux's ``/proc``).
    """
    if not (STATUS.exists() and RESET.exists()):
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure_peaks, words, points, size).result()


def _measure_peaks(words: int, points: int, size: int) -> dict[str, float]:
    warm_up, page = drawn_page(10, points, size=160), drawn_page(words, points, size=size)
    peaks: dict[str, float] = {}
    for step, calls in STEPS.items():
        calls(warm_up)[1]()  # loads and compiles
        peaks[step] = _peak_of(calls(page)[1])
    return peaks


def _peak_of(call: Callable[[], object]) -> float:
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
    RESET.write_text("5")  # the high-water mark starts from here
    before = read_status("VmRSS")
    kept = call()
    peak = read_status("VmHWM")
    del kept
    return (peak - before) / 1024.0


def read_status(key: str) -> int:
    """An entry of the process status in KiB."""
    match = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{STATUS} has no {key}")
    return int(match.group(1))
