"""Node of the contact sheet of training samples."""

from pathlib import Path

import pandas as pd

from receipt_ocr.detector.settings import Experiments


def draw_training_samples(
    experiments: Experiments,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
    epoch: int,
) -> object:
    """A few pages as the network sees them at an epoch and the next one (a Pillow image)."""
    from PIL import Image

    from receipt_ocr.pictures.training_samples import draw_epochs
    from receipt_ocr.receipts.labelled_pages import gather_labelled

    labelled = gather_labelled(pages, words, raw_receipts, with_holdout=False)
    return Image.fromarray(draw_epochs(labelled, experiments.chosen, epoch))
