"""Files that another stage may not have written yet: they load as None, and the node decides."""

from typing import Any

from receipt_ocr.datasets.previews import CSVDataset, JSONDataset, ParquetDataset

__all__ = ["OptionalCSVDataset", "OptionalJSONDataset", "OptionalParquetDataset"]


class _Optional:
    """Makes a dataset of one file load as None where the file is absent."""

    may_be_missing = True

    def load(self) -> Any:
        """The content, or None."""
        self._invalidate_cache()  # type: ignore[attr-defined]  # a remote listing may be older
        return super().load() if self.exists() else None  # type: ignore[misc]


class OptionalJSONDataset(_Optional, JSONDataset):
    """A JSON dataset that loads as None where the file is absent."""


class OptionalCSVDataset(_Optional, CSVDataset):
    """A CSV dataset that loads as None where the file is absent."""


class OptionalParquetDataset(_Optional, ParquetDataset):
    """A Parquet dataset that loads as None where the file is absent."""
