"""A folder of small JSON records, each in a file of its own, so that writers do not meet."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kedro.io import AbstractDataset

from receipt_ocr.datasets.previews import JSONPreview, preview_json
from receipt_ocr.storage.files import Folder, open_folder, storage_options

__all__ = ["Record", "Records", "RecordsDataset"]

log = logging.getLogger(__name__)

Record = dict[str, Any]
SUFFIX = ".json"


class Records(dict[str, Record]):
    """Name -> record, of the files that could be read; the others are its ``faults``."""

    def __init__(
        self,
        records: Mapping[str, Record] | Iterable[tuple[str, Record]] = (),
        faults: Mapping[str, str] | None = None,
    ) -> None:
        """Hold records.

        Args:
            records: Name -> record.
            faults: Address of a file that holds no record -> what is wrong with it and what to
                do, as the end of a sentence that begins with the address.
        """
        super().__init__(records)
        self.faults = dict(faults or {})


class RecordsDataset(AbstractDataset[dict[str, Record], Records]):
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
    def of(cls, folder: Folder) -> "RecordsDataset":
        """The records of a folder that is open already."""
        dataset = cls(filepath=str(folder))
        dataset._filepath = folder
        return dataset

    def load(self) -> Records:
        """All records by name, in the order of their names; none where there is no folder.

        One damaged file costs nobody the other records: it is left out, named in the log and
        among the ``faults``.
        """
        records = Records()
        for name in sorted(self._names()):
            try:
                records[name] = _parse(self._read(name))
            except FileNotFoundError:  # deleted since the folder was listed
                continue
            except (OSError, ValueError) as error:
                address = f"{self._filepath}/{name}{SUFFIX}"
                records.faults[address] = f"{error}; mend or delete it"
                log.warning("%s %s", address, records.faults[address])
        return records

    def save(self, data: dict[str, Record]) -> None:
        """Write each record into its file, all or nothing."""
        contents = {
            f"{name}{SUFFIX}": json.dumps(record, ensure_ascii=False, indent=1).encode()
            for name, record in data.items()
        }
        self._filepath.write(contents)

    def preview(self, entries: int = 10) -> JSONPreview | None:
        """The first records, for Kedro-Viz; None where there are none yet."""
        records = self.load()
        return preview_json(records, entries) if records else None

    def _names(self) -> list[str]:
        return [file.name.removesuffix(SUFFIX) for file in self._filepath.glob(f"*{SUFFIX}")]

    def _read(self, name: str) -> bytes:
        try:
            return self._filepath.read(f"{name}{SUFFIX}")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OSError(f"cannot be read ({error})") from error

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _parse(text: bytes) -> Record:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError(f"holds no record but a {type(record).__name__}")
    return record
