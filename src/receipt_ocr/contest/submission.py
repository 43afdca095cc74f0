"""Polygons -> what the contest takes: one JSON, one CSV, checked before they are written."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.geometry.polygons import Polygon, as_polygon, polygon_area

log = logging.getLogger(__name__)

UNREAD = ("image_missing", "image_unreadable")  # reasons for which ingestion rejects a whole page
MIN_POINTS = 4  # the contest skips polygons of fewer

PageSizes = Mapping[str, tuple[int, int]]
Submission = dict[str, dict[str, Any]]


def build_submission(
    detections: Mapping[str, Sequence[Polygon]], page_sizes: PageSizes
) -> Submission:
    """Build the competition's JSON from detections.

    Args:
        detections: Every test page -> polygons in upright page pixels; may be empty.
        page_sizes: Every test page -> (width, height) in upright pixels.

    Returns:
        ``{"images": {page: {"words": {"0001": {"points": [[x, y], ...]}}}}}`` with whole pixels
        inside the page; polygons of fewer than 4 points or without an area there are left out.

    Raises:
        ValueError: If detections and test pages are not the same pages, or a polygon is not finite.
    """
    if differing := sorted(set(detections) ^ set(page_sizes)):
        raise ValueError(
            f"detections must be of the test pages, but {differing[0]!r} is only in one of the two "
            f"({len(differing)} such pages); run the ensemble again"
        )
    images: dict[str, Any] = {}
    dropped = 0
    for page, (width, height) in page_sizes.items():
        words: dict[str, Any] = {}
        for polygon in detections[page]:
            if not np.isfinite(polygon).all():
                raise ValueError(f"page {page!r}: a detection is not finite: {polygon.tolist()}")
            inside = np.clip(np.rint(polygon), 0, (width, height))
            if len(inside) < MIN_POINTS or polygon_area(inside) == 0:
                dropped += 1
                continue
            words[f"{len(words) + 1:04d}"] = {"points": inside.astype(int).tolist()}
        images[page] = {"words": words}
    if dropped:
        log.warning("%d polygons without 4 points or an area on their page were left out", dropped)
    return {"images": images}


def build_from_tables(
    detections: Mapping[str, Sequence[Sequence[float]]], pages: pd.DataFrame, rejected: pd.DataFrame
) -> Submission:
    """Build and check the submission of all test pages.

    The contest asks for every test page, also for one whose image is missing or broken.
    ``detections`` holds those that could be read, with polygons flat in page pixels.
    """
    test = pages[pages["subset"] == "test"]
    sides = test[["page", "width", "height"]].itertuples(index=False)
    sizes = {str(page): (int(width), int(height)) for page, width, height in sides}
    polygons = {page: [np.reshape(flat, (-1, 2)) for flat in w] for page, w in detections.items()}
    is_unread = (rejected["subset"] == "test") & rejected["reason"].isin(UNREAD)
    for page in map(str, rejected.loc[is_unread, "page"]):
        if page not in sizes:
            sizes[page], polygons[page] = (1, 1), []
    submission = build_submission(polygons, sizes)
    check_submission(submission, sizes)
    return submission


def check_submission(submission: Submission, page_sizes: PageSizes) -> None:
    """Check what the contest would refuse or score as nothing.

    Raises:
        ValueError: If a test page is missing, another page is named, or a polygon has fewer than
            4 points, is not finite or leaves its page (width, height in upright pixels).
    """
    images = submission["images"]
    if missing := sorted(set(page_sizes) - set(images)):
        raise ValueError(f"the submission lacks {len(missing)} test pages, first {missing[0]!r}")
    if foreign := sorted(set(images) - set(page_sizes)):
        raise ValueError(f"the submission names {foreign[0]!r}, which is no test page")
    for page, entry in images.items():
        width, height = page_sizes[page]
        for word, content in entry["words"].items():
            try:
                polygon = as_polygon(content["points"])
            except ValueError as error:
                raise ValueError(f"page {page!r}, word {word}: {error}") from error
            if polygon.min() < 0 or (polygon > (width, height)).any():
                raise ValueError(
                    f"page {page!r}, word {word} leaves the page of {width}x{height} pixels: "
                    f"{content['points']}"
                )


def tabulate_submission(submission: Submission) -> pd.DataFrame:
    """The contest's CSV: a row a page, ``x1 y1 x2 y2 ...`` a polygon, joined by ``|``."""
    rows = [
        (page, "|".join(map(_join_points, entry["words"].values())))
        for page, entry in submission["images"].items()
    ]
    return pd.DataFrame(rows, columns=["filename", "polygons"])


def identify_submission(table: pd.DataFrame) -> str:
    """Name a submission after its content: ``s`` and 12 hexadecimal digits of a SHA-256.

    A copy under another name or with other line ends has the same id. The letter keeps a command
    line from reading the digits as a number.
    """
    rows = zip(table["filename"], table["polygons"], strict=True)
    text = "\n".join(f"{page},{polygons}" for page, polygons in rows)
    return f"s{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def parse_submission(table: pd.DataFrame) -> dict[str, list[Polygon]]:
    """Read page -> polygons in upright page pixels from the contest's CSV, loaded as text.

    Raises:
        ValueError: If a page stands twice or a polygon cannot be read; the page is named.
    """
    parsed: dict[str, list[Polygon]] = {}
    for page, text in zip(table["filename"], table["polygons"], strict=True):
        if page in parsed:
            raise ValueError(f"the submission holds page {page!r} twice")
        try:
            flat = [[float(number) for number in one.split()] for one in text.split("|") if one]
            parsed[page] = [as_polygon(numbers) for numbers in flat]
        except ValueError as error:
            raise ValueError(f"page {page!r} of the submission: {error}") from error
    return parsed


def read_submission(file: Path) -> pd.DataFrame:
    """Read the contest's table from its CSV or JSON; a ValueError says if the file is neither."""
    try:
        if file.suffix.lower() == ".json":
            return tabulate_submission(json.loads(file.read_text(encoding="utf-8")))
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        return table[["filename", "polygons"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} is no submission ({error}); give its CSV or JSON, which must be "
            '{"images": {page: {"words": {number: {"points": [[x, y], ...]}}}}}'
        ) from error


def _join_points(word: Mapping[str, Any]) -> str:
    return " ".join(str(value) for point in word["points"] for value in point)
