"""The folder that a training works in: always local, and published where its address is not."""

import glob
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from receipt_ocr.storage.cache import Mirror
from receipt_ocr.storage.files import RemoteFolder, open_folder

__all__ = ["IDENTITY_FILE", "RESULT_FILE", "WorkFolder"]

IDENTITY_FILE = "settings.json"
"""Whose training a folder holds."""

RESULT_FILE = "finished.json"
"""The note of a training's end."""


class WorkFolder(os.PathLike[str]):
    """A local folder to write into, and the address that its files are kept at.

    At a local address that is the folder itself, and :meth:`fetch`, :meth:`publish` and
    :meth:`discard` do nothing. At a remote one (``s3://bucket/...``) the folder is a mirror in
    this user's cache, and **the remote side is the truth**: a training counts as far as it was
    published.

    What survives a kill at any moment:

    - A published file is there whole, or as it was before; never half of it.
    - Files are published and discarded in the order given. Name the one that the others are
      needed for last (the state to resume from after the epoch's file), and discard after
      publishing: then the remote folder can be resumed from between any two steps.
    - What was written here but not published is given up by the next :meth:`fetch`, also on the
      same machine, so that two machines that take turns never mix their epochs.
    - Sub-folders are this machine's own: they are neither published nor fetched nor deleted.

    One process may publish at a time; the object may be pickled to others.
    """

    def __init__(
        self,
        address: str | os.PathLike[str] | RemoteFolder,
        options: Mapping[str, Any] | None = None,
        results: Iterable[Path | RemoteFolder] = (),
    ) -> None:
        """Point at an address; nothing is read or made yet.

        Args:
            address: A path, any address that fsspec knows, or a folder there.
            options: For the file system's constructor, such as an endpoint or keys; not with a
                folder, which has its own.
            results: Files and folders elsewhere that are made from the finished training; ``*``
                stands for any part of a name.
        """
        self._results = tuple(results)
        folder = address if isinstance(address, RemoteFolder) else open_folder(address, options)
        self._mirror = Mirror(folder) if isinstance(folder, RemoteFolder) else None
        self.path: Path = folder if isinstance(folder, Path) else Mirror(folder).path
        """The local folder; it need not exist."""
        self.address = str(folder)
        """Where its files are kept: the local path, or the remote address."""

    @property
    def name(self) -> str:
        """The last part of path and address."""
        return self.path.name

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"WorkFolder({self.address!r})"

    def discard_results(self) -> None:
        """Remove what an earlier training led to: it does not belong to one that starts over."""
        for result in chain.from_iterable(map(_matches, self._results)):
            if isinstance(result, RemoteFolder):
                result.remove()
            elif result.is_dir():
                shutil.rmtree(result)
            else:
                result.unlink(missing_ok=True)

    def fetch(self) -> None:
        """Make the local folder like the remote one, before a training starts or goes on.

        Files that are missing or differ are brought; files that the remote folder lacks are
        removed. A kill leaves whole files, some old and some new: fetch again before use.

        Raises:
            FileNotFoundError: If the remote bucket is not there.
        """
        if self._mirror is not None:
            self._mirror.fetch(recursive=False)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other processes of this machine from fetching what is not published yet."""
        if self._mirror is None:
            yield
            return
        with self._mirror.turn():
            yield

    def publish(self, names: Iterable[str]) -> None:
        """Write files of the local folder to the remote one, each all or nothing, in this order.

        Args:
            names: Of files directly in the folder.

        Raises:
            FileNotFoundError: If one of them, or the remote bucket, is not there.
        """
        if self._mirror is not None:
            self._mirror.publish(names)

    def discard(self, names: Iterable[str]) -> None:
        """Remove files from the remote folder, in this order; those not there are no error.

        The local files are the caller's to remove.

        Args:
            names: Of files directly in the folder.
        """
        if self._mirror is not None:
            self._mirror.discard(names)


def _matches(result: Path | RemoteFolder) -> Iterable[Path | RemoteFolder]:
    if "*" not in str(result):
        return [result]
    if isinstance(result, RemoteFolder):
        return result.glob()
    fixed = glob.escape(str(result.relative_to(result.anchor))).replace("[*]", "*")
    return Path(result.anchor).glob(fixed)
