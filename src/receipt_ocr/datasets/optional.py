"""Files that another stage may not have written yet: they load as None, and the node decides."""

from typing import Any

import pandas as pd

from receipt_ocr.datasets.previews import CSVDataset, JSONDataset, ParquetDataset

__all__ = ["OptionalCSVDataset", "OptionalJSONDataset", "OptionalParquetDataset"]


class OptionalJSONDataset(JSONDataset):
    """A JSON dataset that loads as None where the file is absent."""

    may_be_missing = True

    def load(self) -> Any:
        """The content, or None."""
        self._invalidate_cache()  # a remote listing may be older than the file
        return super().load() if self.exists() else None


class OptionalCSVDataset(CSVDataset):
    """A CSV dataset that loads as None where the file is absent."""

    may_be_missing = True

    def load(self) -> pd.DataFrame | None:
        """The table, or None."""
        self._invalidate_cache()  # a remote listing may be older than the file
        return super().load() if self.exists() else None


class OptionalParquetDataset(ParquetDataset):
    """A Parquet dataset that loads as None where the file is absent."""

    may_be_missing = True

    def load(self) -> pd.DataFrame | None:
        """The table, or None."""
        self._invalidate_cache()  # a remote listing may be older than the file
        return super().load() if self.exists() else None
