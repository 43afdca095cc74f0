"""Records as JSON: one in a file, or a folder of them, each in a file of its own.

What a file must hold is said by the record's class, see :mod:`receipt_ocr.records`. A file that
does not hold it is named with the key, the value and the command that writes it again.
"""

import logging
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from receipt_ocr.datasets.previews import JSONPreview, preview_json
from receipt_ocr.records import NoRecord, Record
from receipt_ocr.storage.files import open_folder, storage_options

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)
In = TypeVar("In")
Out = TypeVar("Out")
SUFFIX = ".json"


class Records(dict[str, R], Generic[R]):
    """Name -> record, of the files that could be read; the others are its ``faults``."""

    def __init__(
        self,
        records: Mapping[str, R] | Iterable[tuple[str, R]] = (),
        faults: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(records)
        self.faults = dict(faults or {})
        """Address of a file -> what is wrong with it and what to do, to be read on from there."""


class _RecordFiles(AbstractDataset[In, Out]):
    """Where records lie, and the class that says what they must hold."""

    may_be_missing = False

    def __init__(  # noqa: PLR0913  # one argument a key of the catalog entry
        self,
        *,
        filepath: str,
        record: str | type[Record],
        optional: bool = False,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file or folder, which need not exist.

        Args:
            filepath: A path, or any address that fsspec knows.
            record: Name of a class in :mod:`receipt_ocr.records`, or a dotted path.
            optional: Whether a file that is absent, or says that there was nothing to record,
                loads as None. A folder may always be absent.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._filepath = open_folder(filepath, storage_options(credentials, fs_args))
        self._record = _find_class(record)
        self.may_be_missing = optional or self.may_be_missing
        self.metadata = metadata

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "record": self._record.__name__}


class RecordDataset(_RecordFiles[Record | dict[str, Any], Record | None]):
    """One record as JSON.

    Example of a catalog entry::

        tuned_postprocess:
          type: receipt_ocr.datasets.records.RecordDataset
          filepath: data/07_model_output/lite0/tuned_postprocess.json
          record: TunedPostprocess
          optional: true
    """

    def load(self) -> Record | None:
        """The record; None where that is allowed and there is none.

        Raises:
            FileNotFoundError: If the file is absent and not optional.
            DatasetError: If it does not hold such a record.
        """
        try:
            content = self._filepath.read()
        except FileNotFoundError as error:
            if self.may_be_missing:
                return None
            message = f"{self._filepath} is not there yet; run {self._record.made_by}"
            raise FileNotFoundError(message) from error
        if self.may_be_missing and content.strip() == b"{}":
            return None
        try:
            return _parse(content, self._record)
        except ValueError as error:
            raise DatasetError(f"{self._filepath} {error}") from error

    def save(self, data: Record | dict[str, Any]) -> None:
        """Write the record, all or nothing."""
        is_empty = self.may_be_missing and isinstance(data, NoRecord)
        content = b"{}" if is_empty else _serialise(data, self._record)
        self._filepath.write({"": content})

    def preview(self, entries: int = 10) -> JSONPreview:
        """The record, for Kedro-Viz; None where there is none yet."""
        record = self.load() if self._exists() else None
        return None if record is None else preview_json(record.model_dump(mode="json"), entries)


class RecordsDataset(_RecordFiles[dict[str, Any], Records[Record]]):
    """Name -> record. Saving adds records and replaces those of the same name, no others.

    Example of a catalog entry::

        leaderboard_records:
          type: receipt_ocr.datasets.records.RecordsDataset
          filepath: data/08_reporting/leaderboard
          record: LeaderboardScore
    """

    may_be_missing = True  # nobody has recorded anything yet

    def load(self) -> Records[Record]:
        """All records by name, in the order of their names; none where there is no folder.

        One damaged file costs nobody the other records: it is left out, named in the log and
        among the ``faults``.
        """
        records: Records[Record] = Records()
        names = (file.name.removesuffix(SUFFIX) for file in self._filepath.glob(f"*{SUFFIX}"))
        for name in sorted(names):
            try:
                records[name] = _parse(self._filepath.read(f"{name}{SUFFIX}"), self._record)
            except FileNotFoundError:  # deleted since the folder was listed
                continue
            except OSError as error:
                self._note_fault(records, name, f"cannot be read ({error}); mend or delete it")
            except ValueError as error:
                self._note_fault(records, name, str(error))
        return records

    def save(self, data: dict[str, Any]) -> None:
        """Write each record into its file, all or nothing."""
        contents = {
            f"{name}{SUFFIX}": _serialise(record, self._record) for name, record in data.items()
        }
        self._filepath.write(contents)

    def preview(self, entries: int = 10) -> JSONPreview:
        """The first records, for Kedro-Viz; None where there are none yet."""
        records = {name: one.model_dump(mode="json") for name, one in self.load().items()}
        return preview_json(records, entries) if records else None

    def _note_fault(self, records: Records[Record], name: str, fault: str) -> None:
        address = f"{self._filepath}/{name}{SUFFIX}"
        records.faults[address] = fault
        log.warning("%s %s", address, fault)


def _find_class(record: str | type[Record]) -> type[Record]:
    if isinstance(record, str):
        module, _, name = record.rpartition(".")
        record = getattr(import_module(module or Record.__module__), name, None)  # type: ignore[assignment]
    if not (isinstance(record, type) and issubclass(record, Record)):
        raise DatasetError(f"record must name a class of {Record.__module__}, got {record!r}")
    return record


def _serialise(record: Record | dict[str, Any], kind: type[Record]) -> bytes:
    """JSON of a record; of one that is given as a dictionary once it is checked."""
    try:
        return kind.model_validate(record).model_dump_json(indent=1).encode()
    except ValidationError as error:
        raise DatasetError(f"no {kind.__name__} can be stored that {_describe(error)}") from error


def _parse(content: bytes, kind: type[R]) -> R:
    try:
        return kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise ValueError(
            f"{_describe(error)}; mend or delete it, or write it again with {kind.made_by}"
        ) from error


def _describe(error: ValidationError) -> str:
    return ", ".join(map(_describe_fault, error.errors(include_url=False)))


def _describe_fault(fault: ErrorDetails) -> str:
    """One fault as the end of a sentence that begins with the file."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    key, kind = key.removeprefix("."), type(fault["input"]).__name__
    if fault["type"] == "json_invalid":
        return f"is no JSON ({fault['msg']})"
    if fault["type"] == "missing":
        return f"lacks {key}"
    if not key:
        return f"holds no record but a {kind}"
    message = fault["msg"].removeprefix("Input ")
    return f"has {fault['input']!r} as {key}, which {message}"
