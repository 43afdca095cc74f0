"""A folder of small JSON records, each in a file of its own, so that writers do not meet."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from receipt_ocr.datasets.previews import JSONPreview, preview_json
from receipt_ocr.storage import RemoteFolder, open_folder, storage_options

__all__ = ["Record", "RecordsDataset"]

Record = dict[str, Any]
SUFFIX = ".json"


class RecordsDataset(AbstractDataset[dict[str, Record], dict[str, Record]]):
    """Name -> record. Saving adds records and replaces those of the same name, no others.

    Example of a catalog entry::

        leaderboard_records:
          type: receipt_ocr.datasets.records.RecordsDataset
          filepath: data/08_reporting/leaderboard
    """

    may_be_missing = True  # nobody has recorded anything yet

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: The folder, a path or any address that fsspec knows; it need not exist.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._filepath = open_folder(filepath, storage_options(credentials, fs_args))
        self.metadata = metadata

    @classmethod
    def of(cls, folder: Path | RemoteFolder) -> "RecordsDataset":
        """The records of a folder that is open already."""
        dataset = cls(filepath=str(folder))
        dataset._filepath = folder
        return dataset

    def load(self) -> dict[str, Record]:
        """All records by name, in the order of their names; none where there is no folder.

        Raises:
            DatasetError: If a file is no JSON object; it is named.
        """
        return {name: self._parse(name, text) for name, text in sorted(self._read().items())}

    def save(self, data: dict[str, Record]) -> None:
        """Write each record into its file, all or nothing."""
        contents = {
            f"{name}{SUFFIX}": json.dumps(record, ensure_ascii=False, indent=1).encode()
            for name, record in data.items()
        }
        folder = self._filepath
        if not isinstance(folder, Path):
            folder.write(contents)
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            partial = folder / f"{name}.partial"
            partial.write_bytes(content)
            partial.replace(folder / name)

    def preview(self, entries: int = 10) -> JSONPreview | None:
        """The first records, for Kedro-Viz; None where there are none yet."""
        records = self.load()
        return preview_json(records, entries) if records else None

    def _read(self) -> dict[str, bytes]:
        folder = self._filepath
        if isinstance(folder, Path):
            return {file.stem: file.read_bytes() for file in folder.glob(f"*{SUFFIX}")}
        files = [file.name for file in (folder / f"*{SUFFIX}").glob()]
        return {name.removesuffix(SUFFIX): folder.read(name) for name in files}

    def _parse(self, name: str, text: bytes) -> Record:
        try:
            record = json.loads(text)
        except ValueError as error:
            raise DatasetError(
                f"{self._filepath}/{name}{SUFFIX} is no JSON ({error}); mend or delete it"
            ) from error
        if not isinstance(record, dict):
            raise DatasetError(f"{self._filepath}/{name}{SUFFIX} holds no record; delete it")
        return record

    def _exists(self) -> bool:
        folder = self._filepath
        return folder.is_dir() if isinstance(folder, Path) else folder.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
