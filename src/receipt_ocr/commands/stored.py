"""What an earlier run has written, opened by its catalog entry without a session."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from receipt_ocr.datasets.project import open_config
from receipt_ocr.storage.files import open_folder

__all__ = ["open_entry", "read_catalog"]


def read_catalog(project: Path, env: str | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """The catalog's entries, without a session: its hooks would open the MLflow database.

    Args:
        project: Folder of the Kedro project.
        env: Environment under ``conf``; None for the default one.
        params: Runtime parameters, which decide on experiment, workspace and so on.

    Returns:
        Name -> entry as in YAML, with every address resolved.

    Raises:
        FileNotFoundError: If the environment has no folder.
    """
    entries: dict[str, Any] = open_config(project, env, params)["catalog"]
    return entries


def open_entry(name: str, entry: Mapping[str, Any], project: Path) -> AbstractDataset[Any, Any]:
    """A dataset by its catalog entry; a local path counts from the project's folder."""
    local = open_folder(entry["filepath"]).local
    address = entry["filepath"] if local is None else str(project / local)
    return AbstractDataset.from_config(name, {**entry, "filepath": address})
