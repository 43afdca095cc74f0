"""Nodes of the check stage: each hands tables and settings to the library."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from receipt_ocr.checks.findings import Finding
from receipt_ocr.detector.settings import Experiments

if TYPE_CHECKING:
    from receipt_ocr.receipts.labelled_pages import LabelledPage

ROUND_TRIP_PAGES = 24
OVERFIT_SECONDS = 60.0


def inspect_data(
    pages: pd.DataFrame, words: pd.DataFrame, rejected: pd.DataFrame, experiments: Experiments
) -> list[Finding]:
    """Look at the tables: rejects, frames, labels, sizes."""
    from receipt_ocr.checks.dataset import inspect_pages
    from receipt_ocr.checks.round_trip import inspect_capacity

    recipe = experiments.chosen
    findings = inspect_pages(pages, words, rejected, recipe.frame, recipe.targets)
    return [*findings, inspect_capacity(pages["word_count"].tolist(), recipe.postprocess)]


def inspect_targets(
    pages: pd.DataFrame, words: pd.DataFrame, raw_receipts: Path, experiments: Experiments
) -> tuple[list[Finding], object]:
    """Decode targets as if they were a perfect output; draw the worst page (a Pillow image)."""
    from PIL import Image

    from receipt_ocr.checks import round_trip

    recipe = experiments.chosen
    settings = round_trip.TripSettings(
        frame=recipe.frame, targets=recipe.targets, postprocess=recipe.postprocess
    )
    chosen = _choose_pages(pages, words, raw_receipts, ROUND_TRIP_PAGES)
    finding, picture = round_trip.check_pages(chosen, settings)
    return [finding], Image.fromarray(picture)


def overfit_one_page(
    pages: pd.DataFrame, words: pd.DataFrame, raw_receipts: Path, experiments: Experiments
) -> list[Finding]:
    """Train on the median page alone, for a minute at most."""
    from receipt_ocr.checks.overfit import overfit_page

    chosen = _choose_pages(pages, words, raw_receipts, 1)
    return [overfit_page(experiments.chosen, page, OVERFIT_SECONDS).finding for page in chosen]


def collect_findings(*findings: list[Finding]) -> list[dict[str, str]]:
    """All findings in the order of the checks, as JSON."""
    return [asdict(finding) for group in findings for finding in group]


def _choose_pages(
    pages: pd.DataFrame, words: pd.DataFrame, folder: Path, count: int
) -> "list[LabelledPage]":
    from receipt_ocr.checks.dataset import choose_pages
    from receipt_ocr.receipts.labelled_pages import load_pages

    names = choose_pages(pages, words, count)
    return load_pages(pages[pages["subset"] == "train"], words, folder, names)
