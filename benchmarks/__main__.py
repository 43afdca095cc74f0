"""Measures the numeric core: a table on the screen, and the same figures as JSON."""

import argparse
import json
import os
import platform
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

# One thread: set before the libraries read it. PyTorch is told otherwise for the training step.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2

from benchmarks.measurements import Measurements, measure
from benchmarks.tables import write_tables

PROJECT = Path(__file__).resolve().parents[1]
LIBRARIES = ("numpy", "numba", "opencv-python-headless", "pyclipper", "scipy", "shapely", "torch")


def main() -> None:
    """Measure, print and write."""
    arguments = _parse()
    cv2.setNumThreads(1)
    figures = measure(arguments.reference, is_quick=arguments.quick)
    machine = _describe_machine()
    print(write_tables(figures, machine))
    _write_json(arguments.json, figures, machine)
    print(f"\nfigures: {arguments.json}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times CLEval, targets, post-processing and the search over settings, each "
        "against a plain version, on one thread. Takes about twelve minutes on two cores.",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        default=PROJECT.parent / "shared",
        metavar="FOLDER",
        help="recorded pages (golden/) and SROIE receipts (data/sroie); without it only drawn "
        "pages are measured (default: the folder `shared` beside the project)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=PROJECT / "data" / "08_reporting" / "benchmarks.json",
        metavar="FILE",
        help="where the figures go (default: %(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few pages only, to see that everything runs"
    )
    return parser.parse_args()


def _describe_machine() -> dict[str, str]:
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": platform.system(),
        "Python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", info.read_text() if info.exists() else "", re.M)
    return str(names[0]) if names else platform.processor() or platform.machine()


def _write_json(file: Path, figures: Measurements, machine: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, **asdict(figures)}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
