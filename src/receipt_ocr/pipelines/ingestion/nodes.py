"""Node of the ingestion stage."""

from pathlib import Path

import pandas as pd

from receipt_ocr.receipts.settings import IngestionSettings


def read_receipts(
    raw_receipts: Path, settings: IngestionSettings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read and check the raw folder: pages, words, rejected."""
    from receipt_ocr.receipts import annotations

    receipts = annotations.read_receipts(raw_receipts, settings)
    return receipts.pages, receipts.words, receipts.rejected
