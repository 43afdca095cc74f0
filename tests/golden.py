"""Recorded results of the contest's own code, under our names."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.geometry.polygons import Polygon

OUR_NAMES = {
    "num_char_gt": "characters_truth",
    "num_char_det": "characters_detected",
    "num_char_tp": "characters_matched",
    "num_char_fp": "false_positives",
    "gran_recall": "recall_penalty",
    "gran_precision": "precision_penalty",
}


def as_polygons(flat: list[list[float]]) -> list[Polygon]:
    """(P, 2) polygons from lists of x1, y1, x2, y2 and so on."""
    return [np.array(points, dtype=float).reshape(-1, 2) for points in flat]


@cache
def load_contest(shared: Path) -> dict[str, Any]:
    """24 pages with their maps, truths, and the contest's results at each of four settings."""
    golden: dict[str, Any] = json.loads((shared / "golden/postprocess_cleval.json").read_text())
    return golden


def read_map(shared: Path, page: dict[str, Any]) -> ProbabilityMap:
    """The map of one of these pages."""
    stored = cv2.imread(str(shared / "golden" / page["map"]), cv2.IMREAD_GRAYSCALE)
    assert stored is not None
    matrix = np.array(page["map_to_page"])
    return ProbabilityMap(stored.astype(np.uint8), matrix, page["width"], page["height"])


def as_settings(setting: dict[str, Any]) -> PostprocessSettings:
    """Post-processing of one of these settings."""
    values = dict(setting)
    shape = "polygon" if values.pop("use_polygon") else "box"
    return PostprocessSettings(**values, shape=shape, candidate_order="contour")
