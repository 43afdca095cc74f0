"""Nodes of the submission stage."""

import logging
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["format_submission"]

UNREAD = ("image_missing", "image_unreadable")

log = logging.getLogger(__name__)


def format_submission(
    detections: dict[str, list[list[float]]], pages: pd.DataFrame, rejected: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The contest's JSON and CSV, checked: every test page once, every polygon valid."""
    from receipt_ocr.decoding.submission import (
        build_submission,
        check_submission,
        tabulate_submission,
    )

    test = pages[pages["subset"] == "test"]
    sizes = {
        str(page): (int(width), int(height))
        for page, width, height in zip(test["page"], test["width"], test["height"], strict=True)
    }
    polygons = {page: [np.reshape(flat, (-1, 2)) for flat in w] for page, w in detections.items()}
    # The contest asks for every test page, also for one whose image is missing or broken.
    is_unread = (rejected["subset"] == "test") & rejected["reason"].isin(UNREAD)
    unread = [str(page) for page in rejected.loc[is_unread, "page"] if page not in sizes]
    sizes |= dict.fromkeys(unread, (1, 1))
    polygons |= {page: [] for page in unread}
    submission = build_submission(polygons, sizes)
    check_submission(submission, sizes)
    words = sum(len(entry["words"]) for entry in submission["images"].values())
    log.info("Submission: %d pages, %d polygons", len(sizes), words)
    return submission, tabulate_submission(submission)
