"""How the recorded results write what we call by other names."""

import numpy as np

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
