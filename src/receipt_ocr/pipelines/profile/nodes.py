"""Node of the profile."""

import logging
from pathlib import Path

import pandas as pd

from receipt_ocr.detector.settings import Experiments

__all__ = ["profile_step"]

log = logging.getLogger(__name__)


def profile_step(
    experiments: Experiments, pages: pd.DataFrame, words: pd.DataFrame, raw_receipts: Path
) -> pd.DataFrame:
    """Where a training step's time goes, as a table that is also shown."""
    from receipt_ocr.receipts.labelled_pages import load_pages
    from receipt_ocr.report.markdown import format_table
    from receipt_ocr.training.profiling import profile_training

    recipe = experiments.chosen
    labelled = load_pages(pages[pages["subset"] == "train"], words, raw_receipts)
    rows = profile_training(recipe, labelled)
    cells = [(r.group, r.part, f"{r.milliseconds:.1f}", f"{100 * r.share:.0f} %") for r in rows]
    table = format_table(("group", "part", "ms a page", "share"), cells, left=2)
    log.info(
        "Where the time of %s goes (samples are drawn by %d workers beside the steps):\n%s",
        experiments.selected,
        recipe.training.workers,
        table,
    )
    return pd.DataFrame([vars(row) for row in rows])
