"""Results of earlier runs, opened by catalog entries without a session.

The hooks of a session would open the MLflow database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from receipt_ocr.datasets.project import open_config
from receipt_ocr.storage.files import open_folder


@dataclass(frozen=True)
class StoredResults:
    """The results of runs in one environment with one set of runtime parameters."""

    project: Path
    env: str | None
    params: Mapping[str, Any]

    @cached_property
    def catalog(self) -> dict[str, Any]:
        """Name -> catalog entry as in YAML, with addresses resolved."""
        entries: dict[str, Any] = open_config(self.project, self.env, self.params)["catalog"]
        return entries

    def address(self, name: str) -> str:
        """Return where an entry's file lies."""
        return str(self.catalog[name]["filepath"])

    def find(self, name: str) -> AbstractDataset[Any, Any] | None:
        """Return the dataset of an entry; None if its file does not exist."""
        entry = self.catalog[name]
        local = open_folder(entry["filepath"]).local
        address = entry["filepath"] if local is None else str(self.project / local)
        dataset = AbstractDataset.from_config(name, {**entry, "filepath": address})
        return dataset if dataset.exists() else None

    def command(self, pipeline: str | None = None) -> str:
        """Return the command that runs a pipeline, or all of them, in this environment."""
        options = {"--env": self.env, "--pipeline": pipeline}
        return " ".join(["kedro run", *(f"{key}={own}" for key, own in options.items() if own)])
