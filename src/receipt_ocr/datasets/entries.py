"""Metadata of a catalog entry: its owner, and the part of it that MLflow gets."""

from typing import NamedTuple, Self

from kedro.io import DataCatalog

RUN_RECORDS = {
    "all": "shared_run_records",
    "detector": "training_run_records",
    "experiment": "run_records",
}
"""Owner -> the entry that says which run wrote each of the owner's entries."""


class EntryNotes(NamedTuple):
    """The project's own keys in an entry's ``metadata``."""

    owner: str | None = None
    """Key of :data:`RUN_RECORDS`; None for an entry of which no run is noted."""
    mlflow: str | None = None
    """``file``, ``path`` or ``hash``; None if MLflow gets nothing."""

    @classmethod
    def read(cls, catalog: DataCatalog, entry: str) -> Self:
        """Look an entry up, by its own name or by a pattern; without opening its dataset."""
        metadata = catalog.config_resolver.resolve_pattern(entry).get("metadata") or {}
        return cls(metadata.get("owner"), metadata.get("mlflow"))
