"""What a training has left in its folder: who claimed it when, and how it ended."""

import json
from dataclasses import dataclass

from receipt_ocr.storage.files import Folder
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


def read_traces(folder: Folder) -> Traces:
    """Which versions of its files a folder holds now; two calls differ where one was rewritten."""
    return Traces(folder.stamp(IDENTITY_FILE), folder.stamp(RESULT_FILE))


def read_best(folder: Folder) -> tuple[float | None, int | None]:
    """H-mean and number of the best epoch of a finished training; None where they are unknown."""
    try:
        content = json.loads(folder.read(RESULT_FILE))
    except FileNotFoundError:
        return None, None
    return content["best_hmean"], content["best_epoch"]
