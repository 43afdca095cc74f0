"""The local folder that a training works in, published where its address is a remote one."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager

from receipt_ocr.storage.cache import RemoteCache
from receipt_ocr.storage.files import Folder, open_folder

__all__ = ["IDENTITY_FILE", "RESULT_FILE", "WorkFolder"]

IDENTITY_FILE = "settings.json"
"""Says whose training a folder holds."""

RESULT_FILE = "finished.json"
"""The note of a training's end."""


class WorkFolder(os.PathLike[str]):
    """A local folder to write into, and the address that its files are kept at.

    At a local address that is the folder itself, and :meth:`fetch`, :meth:`publish` and
    :meth:`discard` do nothing. At a remote one (``s3://bucket/...``) the folder is a copy in
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
        address: str | os.PathLike[str] | Folder,
        results: Iterable[tuple[Folder, str]] = (),
    ) -> None:
        """Point at an address; nothing is read or made yet.

        Args:
            address: A path, any address that fsspec knows, or a folder there.
            results: Files and folders elsewhere that are made from the finished training, each
                as a folder and a pattern below it (see :meth:`Folder.glob`); with an empty
                pattern, the folder or file itself.
        """
        self._results = tuple(results)
        self._cache = RemoteCache(open_folder(address))
        self.path = self._cache.path
        """The local folder; it need not exist."""
        self.address = self._cache.remote.address
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
        for folder, pattern in self._results:
            for result in folder.glob(pattern) if pattern else [folder]:
                result.remove()

    def fetch(self) -> None:
        """Make the local folder like the remote one, before a training starts or goes on.

        A kill leaves whole files, some old and some new: fetch again before use.

        Raises:
            FileNotFoundError: If the remote bucket is not there.
        """
        self._cache.fetch(recursive=False)

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine from fetching what is not published yet."""
        return self._cache.lock()

    def publish(self, names: Iterable[str]) -> None:
        """Write files directly in the folder to the remote one, each all or nothing, in this order.

        Raises:
            FileNotFoundError: If one of them, or the remote bucket, is not there.
        """
        self._cache.publish(names)

    def discard(self, names: Iterable[str]) -> None:
        """Remove files directly in the remote folder, in this order; absent ones are no error.

        The local files are the caller's to remove.
        """
        self._cache.discard(names)
