"""What a training has left in its folder: who claimed it when, and how it ended."""

import json
from dataclasses import dataclass
from pathlib import Path

from receipt_ocr.storage.files import RemoteFolder
from receipt_ocr.training.work_folder import IDENTITY_FILE, RESULT_FILE

__all__ = ["Traces", "read_best", "read_traces"]


@dataclass(frozen=True)
class Traces:
    """The versions of two files; None where there is none.

    Attributes:
        claim: Of the settings that a training writes when it makes the folder its own.
        end: Of the note that it leaves when it has finished.
    """

    claim: str | None
    end: str | None


def read_traces(folder: Path | RemoteFolder) -> Traces:
    """Which versions of its files a folder holds now; two calls differ where one was rewritten."""
    if isinstance(folder, RemoteFolder):
        stamps = folder.stamps()
        return Traces(stamps.get(IDENTITY_FILE), stamps.get(RESULT_FILE))
    return Traces(_version(folder / IDENTITY_FILE), _version(folder / RESULT_FILE))


def read_best(folder: Path | RemoteFolder) -> tuple[float | None, int | None]:
    """H-mean and number of the best epoch of a finished training; None where they are unknown."""
    try:
        if isinstance(folder, RemoteFolder):
            content = json.loads(folder.read(RESULT_FILE))
        else:
            content = json.loads((folder / RESULT_FILE).read_bytes())
    except FileNotFoundError:
        return None, None
    return content["best_hmean"], content["best_epoch"]


def _version(file: Path) -> str | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    # Files are renamed into place: each writing makes a new one.
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"
