"""Local copies of remote folders, for what needs files on a disk."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from receipt_ocr.storage.files import BATCH, Folder, open_folder

CACHE_VARIABLE = "RECEIPT_OCR_CACHE"
"""Environment variable with the folder that local copies lie in."""


class RemoteCache:
    """A remote folder's local copy, in a folder of the cache that belongs to the address.

    A note beside the copy says which version of which file it holds. A file counts as current
    only if it is there as noted; a kill at any moment costs at most repeated downloads, and no
    file in the copy is ever half a file. A lock keeps processes of one machine apart.

    A local folder is its own copy: nothing is moved, noted or locked.

    Attributes:
        remote: The folder that is copied.
        path: The local folder; its name is the remote one's.
    """

    def __init__(self, remote: Folder) -> None:
        """Name the copy of a folder; nothing is read or written yet."""
        self.remote = remote
        self._home = cache_folder(remote.address)
        self._is_local = remote.local is not None
        self.path = remote.local or self._home / (remote.name or "root")

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine from fetching or publishing meanwhile.

        Fetching and publishing take the lock themselves; a process may take it again.
        """
        if self._is_local:
            return nullcontext()
        self._home.mkdir(parents=True, exist_ok=True)
        return FileLock(self._home / "lock", is_singleton=True)

    def fetch(self, *, recursive: bool = True) -> None:
        """Make the copy like the remote folder: missing and other files come, extra ones go.

        Args:
            recursive: False leaves sub-folders alone on both sides.

        Raises:
            FileNotFoundError: If the remote bucket is not there.
        """
        if self._is_local:
            return
        with self.lock():
            there = self.remote.stamps()
            there = {n: stamp for n, stamp in there.items() if recursive or "/" not in n}
            known = self._read_note()
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove_extra(there, recursive=recursive)
            known = {name: entry for name, entry in known.items() if name in there}
            wanted = [n for n, stamp in there.items() if not self._is_current(n, stamp, known)]
            for batch in _progress(wanted, self.remote):
                self._download(batch, there, known)
            self._write_note(known)

    def publish(self, names: Iterable[str]) -> None:
        """Write files of the copy to the remote folder, in the order given, each all or nothing.

        Raises:
            FileNotFoundError: If one of them, or the remote bucket, is not there.
        """
        if self._is_local:
            return
        with self.lock():
            sources = {name: self.path / name for name in names}
            self.remote.upload(sources)
            there, known = self.remote.stamps(), self._read_note()
            known |= {name: _note(there[name], file) for name, file in sources.items()}
            self._write_note(known)

    def discard(self, names: Iterable[str]) -> None:
        """Remove files from the remote folder, in the order given; the copy stays as it is."""
        if not self._is_local:
            self.remote.delete(names)

    def _remove_extra(self, there: Mapping[str, str], *, recursive: bool) -> None:
        paths = self.path.rglob("*") if recursive else self.path.iterdir()
        for path in sorted(paths, reverse=True):  # what is in a folder comes before the folder
            if path.is_file() and path.relative_to(self.path).as_posix() not in there:
                path.unlink()
            elif recursive and path.is_dir() and not any(path.iterdir()):
                path.rmdir()  # an address without files is no folder either

    def _is_current(self, name: str, stamp: str, known: Mapping[str, list[Any]]) -> bool:
        file = self.path / name
        return name in known and file.is_file() and known[name] == _note(stamp, file)

    def _download(
        self, names: Sequence[str], there: Mapping[str, str], known: dict[str, list[Any]]
    ) -> None:
        partial = self._home / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        self.remote.download({name: partial / name for name in names})
        for name in names:
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (partial / name).replace(target)
            known[name] = _note(there[name], target)
        self._write_note(known)
        shutil.rmtree(partial, ignore_errors=True)

    @property
    def _note_file(self) -> Path:
        return self._home / "versions.json"

    def _read_note(self) -> dict[str, list[Any]]:
        try:
            note: dict[str, list[Any]] = json.loads(self._note_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return note

    def _write_note(self, note: Mapping[str, list[Any]]) -> None:
        partial = self._note_file.with_suffix(".partial")
        partial.write_text(json.dumps(note, ensure_ascii=False, indent=0), encoding="utf-8")
        partial.replace(self._note_file)


def local_copy(
    address: str | os.PathLike[str] | Folder, options: Mapping[str, Any] | None = None
) -> Path:
    """A folder to read from: the one at a local address itself, else its copy, fetched anew.

    Raises:
        FileNotFoundError: If the address names a bucket that is not there.
    """
    cache = RemoteCache(open_folder(address, options))
    cache.fetch()
    return cache.path


def cache_folder(address: str) -> Path:
    """The folder of this user's cache that belongs to an address.

    It lies in the folder that the environment variable RECEIPT_OCR_CACHE names, else in
    ``~/.cache/receipt_ocr`` (or where XDG_CACHE_HOME puts caches).
    """
    base = os.environ.get(CACHE_VARIABLE)
    if not base:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "receipt_ocr")
    readable = re.sub(r"[^A-Za-z0-9]+", "-", address)[-40:].strip("-")
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Path(base).expanduser() / f"{readable}-{digest}"


def _note(stamp: str, file: Path) -> list[Any]:
    status = file.stat()
    return [stamp, status.st_size, status.st_mtime_ns]


def _progress(names: Sequence[str], remote: Folder) -> Iterable[Sequence[str]]:
    batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
    title = f"download {remote.name}"
    bar: Iterable[Sequence[str]] = tqdm(
        batches, desc=title, unit="batch", disable=None if len(batches) > 1 else True
    )
    return bar
