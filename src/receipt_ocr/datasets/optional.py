"""Files that another stage may not have written yet: they load as None, and the node decides."""

from collections.abc import Callable
from typing import Any

from receipt_ocr.datasets.previews import CSVDataset, JSONDataset, ParquetDataset


class _Optional:
    """Lets the dataset of one file that it is mixed into load as None where the file is absent."""

    may_be_missing = True
    exists: Callable[[], bool]
    release: Callable[[], None]

    def load(self) -> Any:
        """The content, or None."""
        self.release()  # a remote listing may be older than the file
        return super().load() if self.exists() else None  # type: ignore[misc]


class OptionalJSONDataset(_Optional, JSONDataset):
    """A JSON dataset that loads as None where the file is absent."""


class OptionalCSVDataset(_Optional, CSVDataset):
    """A CSV dataset that loads as None where the file is absent."""


class OptionalParquetDataset(_Optional, ParquetDataset):
    """A Parquet dataset that loads as None where the file is absent."""
