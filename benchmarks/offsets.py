"""Time of a step that is spent in pyclipper, which offsets polygons."""

import time
from unittest.mock import patch

from benchmarks.page_sets import BenchmarkPage
from benchmarks.steps import STEPS
from receipt_ocr.geometry.polygons import Path, offset_path

OFFSETTING = {
    "targets": "receipt_ocr.receipts.targets.offset_path",
    "post-processing": "receipt_ocr.decoding.postprocess.offset_path",
}
"""Step -> where it calls pyclipper from."""


def time_offsets(step: str, page: BenchmarkPage, rounds: int = 5) -> float:
    """Milliseconds of a page's fast step that pass in pyclipper, the best of some rounds."""
    spent = 0.0

    def timed(path: Path, distance: float) -> list[Path]:
        nonlocal spent
        start = time.perf_counter()
        pieces = offset_path(path, distance)
        spent += time.perf_counter() - start
        return pieces

    _, fast = STEPS[step](page)
    times = []
    with patch(OFFSETTING[step], timed):
        for _ in range(rounds):
            spent = 0.0
            fast()
            times.append(1000.0 * spent)
    return min(times)
