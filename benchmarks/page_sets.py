"""Pages to measure: recorded ones, where they lie beside the project, and drawn ones."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.dense_pages import draw_page

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class BenchmarkPage:
    """All that a step needs of a page."""

    truth: list[Polygon]
    """True words, (P, 2) page pixels."""
    detections: list[Polygon]
    """(P, 2) page pixels."""
    stored_map: NDArray[np.uint8]
    """(H, W) text probability times 255."""
    map_to_page: NDArray[np.float64]
    """3x3 matrix from map pixels to page pixels."""
    framed_words: list[Polygon]
    """The true words in map pixels."""
    size: tuple[int, int]
    """Width and height of the page in pixels."""


def recorded_pages(golden: Path) -> list[BenchmarkPage]:
    """The 24 recorded receipts with the contest's detections; none without the folder."""
    file = golden / "postprocess_cleval.json"
    if not file.is_file():
        return []
    return [_recorded(page, golden) for page in json.loads(file.read_text())["pages"]]


def drawn_page(words: int, points: int, *, size: int = 960, seed: int = 0) -> BenchmarkPage:
    """A synthetic dense page, see `benchmarks.dense_pages`."""
    page = draw_page(words, points, size=size, seed=seed)
    truth, found = list(page.truth), list(page.detections)
    return _assemble(truth, found, page.probability_map, page.map_to_page, page.page_size)


def _recorded(page: dict[str, Any], golden: Path) -> BenchmarkPage:
    stored = cv2.imread(str(golden / page["map"]), cv2.IMREAD_GRAYSCALE)
    if stored is None:
        raise FileNotFoundError(f"no map {page['map']} in {golden}")
    truth, detections = (
        [np.array(flat, dtype=np.float64).reshape(-1, 2) for flat in words]
        for words in (page["gt"], page["results"][0]["polygons"])
    )
    matrix, size = np.array(page["map_to_page"]), (page["width"], page["height"])
    return _assemble(truth, detections, stored.astype(np.uint8), matrix, size)


def _assemble(
    truth: list[Polygon],
    detections: list[Polygon],
    stored_map: NDArray[np.uint8],
    map_to_page: NDArray[np.float64],
    size: tuple[int, int],
) -> BenchmarkPage:
    page_to_map = np.linalg.inv(map_to_page)
    framed = [word @ page_to_map[:2, :2].T + page_to_map[:2, 2] for word in truth]
    return BenchmarkPage(truth, detections, stored_map, map_to_page, framed, size)
