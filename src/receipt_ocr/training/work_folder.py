"""The local folder that a training works in, published where its address is a remote one."""

import os
from collections.abc import Iterable

from receipt_ocr.storage.cache import RemoteCache
from receipt_ocr.storage.files import Folder, open_folder

IDENTITY_FILE = "settings.json"
"""Says whose training a folder holds."""

RESULT_FILE = "finished.json"
"""The note of a training's end."""


class WorkFolder(RemoteCache, os.PathLike[str]):
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
        self, address: str | os.PathLike[str] | Folder, results: Iterable[tuple[Folder, str]] = ()
    ) -> None:
        """Point at an address; nothing is read or made yet.

        ``results`` lie elsewhere and are made from the finished training: each is a folder and a
        pattern below it (see :meth:`Folder.glob`), or with an empty one the folder or file itself.
        """
        super().__init__(open_folder(address))
        self._results = tuple(results)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self.remote.address

    def discard_results(self) -> None:
        """Remove what an earlier training led to: it does not belong to one that starts over."""
        for folder, pattern in self._results:
            for result in folder.glob(pattern) if pattern else [folder]:
                result.remove()

    def fetch(self, *, recursive: bool = False) -> None:
        """Make the local folder like the remote one, before a training starts or goes on.

        A kill leaves whole files, some old and some new: fetch again before use.
        """
        super().fetch(recursive=recursive)
