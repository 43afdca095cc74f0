"""Files at any address that fsspec knows, local paths included."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

BATCH = 64
"""Files that are given to the file system at once, which moves several where it can."""

WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})
"""Protocols of object stores: a put that breaks off leaves the earlier object as it was."""

_VERSIONS = ("ETag", "etag", "md5Hash", "ino", "mtime", "LastModified", "last_modified", "created")
"""Names that file systems give to what changes when a file is written."""


@dataclass(frozen=True)
class Folder:
    """A folder, or a file, at a local path or at an address such as ``s3://bucket/prefix``.

    It holds no connection, so that it may be pickled or copied by a fork. Every file that it
    writes is all or nothing, also when killed: by one put on object stores; elsewhere by a move
    from ``NAME.partial``, as far as the file system moves in one step.

    Operations take names of files below the folder; the empty name means the address itself.

    Attributes:
        address: A path without a protocol, relative or not; or an address with its protocol,
            without a slash at the end. Use :func:`open_folder` to get one from any text.
        options: For the file system's constructor, such as an endpoint or keys.
    """

    address: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> "Folder":
        """A file or folder in this one."""
        local = self.local
        return self._at(f"{self.address}/{name}" if local is None else str(local / name))

    @cached_property
    def local(self) -> Path | None:
        """The path, for what needs a real file or folder; None at a remote address."""
        is_local = fsspec.core.split_protocol(self.address)[0] is None
        return Path(self.address) if is_local else None

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    @property
    def parent(self) -> "Folder":
        """The folder around this one."""
        local = self.local
        return self._at(self.address.rpartition("/")[0] if local is None else str(local.parent))

    def entries(self) -> list["Folder"]:
        """Files and folders directly in this one, by name; none where there is no such folder."""
        fs, root = self._open()
        fs.invalidate_cache(root)  # others may have written since
        try:
            paths = [path.rstrip("/") for path in fs.ls(root, detail=False)]
        except FileNotFoundError:
            return []
        fs.invalidate_cache(root)  # or others' later files would seem not to exist
        # A file, and the marker of an empty folder on an object store, list themselves.
        return [self / path.rpartition("/")[2] for path in sorted(paths) if path != root]

    def glob(self, pattern: str) -> list["Folder"]:
        """Files and folders below this one that a pattern matches now, by name.

        Args:
            pattern: A name or a path, such as ``*/scores.parquet``. ``*`` stands for any part of
                one name; no other character is special, and none is in the folder's own address.
        """
        found = [self]
        for part in pattern.split("/"):
            if "*" in part:
                wanted = re.compile(re.escape(part).replace(r"\*", ".*"), re.DOTALL)
                entries = (entry for folder in found for entry in folder.entries())
                found = [entry for entry in entries if wanted.fullmatch(entry.name)]
            else:
                found = [folder / part for folder in found if folder.exists(part)]
        return found

    def exists(self, name: str = "") -> bool:
        """Whether there is such a file or folder now."""
        fs, path = self._open(name)
        fs.invalidate_cache(path)
        return bool(fs.exists(path))

    def stamp(self, name: str = "") -> str | None:
        """Size and version of a file, which differ once it is written again; None without one."""
        fs, path = self._open(name)
        fs.invalidate_cache(path)
        try:
            return _stamp(fs.info(path))
        except FileNotFoundError:
            return None

    def stamps(self) -> dict[str, str]:
        """Name -> size and version of every file in the folder and below.

        Raises:
            FileNotFoundError: If the bucket is not there; a folder without files is empty.
            ValueError: If a file's name leads out of the folder.
        """
        fs, root = self._open()
        fs.invalidate_cache(root)
        with self._named_in_errors():
            found = fs.find(root, detail=True)
        fs.invalidate_cache(root)
        stamps = {
            path[len(root) :].lstrip("/"): _stamp(info)
            for path, info in found.items()
            if info["type"] == "file" and path != root
        }
        for name in stamps:
            if ".." in PurePosixPath(name).parts:
                raise ValueError(f"{self.address} holds {name!r}, which leads out of the folder")
        return stamps

    def read(self, name: str = "") -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        fs, path = self._open(name)
        content: bytes = fs.cat_file(path)
        return content

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Write files, each of them all or nothing; several at once where that is possible.

        Args:
            contents: Name -> content.
        """
        fs, _ = self._open()
        targets = {self._open(name)[1]: content for name, content in contents.items()}
        with self._named_in_errors():
            if _puts_are_whole(fs):
                fs.pipe(targets)
                return
            for target, content in targets.items():
                with _partial_file(fs, target) as partial:
                    fs.pipe_file(partial, content)

    def upload(self, sources: Mapping[str, Path]) -> None:
        """Write local files one after another, in the order given, each all or nothing.

        Args:
            sources: Name -> local file.
        """
        with self._named_in_errors():
            for name, source in sources.items():
                fs, target = self._open(name)
                if _puts_are_whole(fs):
                    fs.put_file(str(source), target)
                    continue
                with _partial_file(fs, target) as partial:
                    fs.put_file(str(source), partial)

    def download(self, targets: Mapping[str, Path]) -> None:
        """Read files into local ones; several at once where that is possible.

        Args:
            targets: Name -> local file, whose folder is made.
        """
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        fs, _ = self._open()
        fs.get([self._open(name)[1] for name in targets], [str(path) for path in targets.values()])

    def delete(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are no error."""
        for name in names:
            fs, path = self._open(name)
            with suppress(FileNotFoundError):
                fs.rm_file(path)

    def remove(self) -> None:
        """Remove the folder with all that it holds, or the file of this address; if it is there."""
        fs, root = self._open()
        fs.invalidate_cache(root)
        with suppress(FileNotFoundError):
            if self.local is None and re.search(r"[*?[]", root):
                # fsspec would take the address for a pattern, and remove its neighbours.
                self.delete([path[len(root) + 1 :] for path in fs.find(root)])
            else:
                fs.rm(root, recursive=True)
        fs.invalidate_cache(root)

    @contextmanager
    def replaced(self) -> Iterator["Folder"]:
        """Hand out a new local folder; without an error it takes this one's place, all at once.

        Object stores cannot rename a folder: this one must be local.
        """
        folder = Path(self.address)
        fresh, retired = (
            folder.with_name(f".{folder.name}.{end}") for end in ("partial", "retired")
        )
        for leftover in (fresh, retired):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield self._at(str(fresh))
        if folder.exists():
            folder.rename(retired)
        fresh.rename(folder)
        shutil.rmtree(retired, ignore_errors=True)

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Libraries say "the specified bucket does not exist" or "forbidden", and not where."""
        try:
            yield
        except (FileNotFoundError, PermissionError) as error:
            raise type(error)(f"{self.address}: {error}") from error

    def _at(self, address: str) -> "Folder":
        return replace(self, address=address)

    def _open(self, name: str = "") -> tuple[Any, str]:
        """The file system, and the path there of a file in this folder."""
        local = self.local
        if local is not None:  # made absolute here, since fsspec would expand "~" in it
            return fsspec.filesystem("file"), (local / name).absolute().as_posix()
        fs, root = fsspec.url_to_fs(self.address, **self.options)
        return fs, f"{str(root).rstrip('/')}/{name}".rstrip("/")


def open_folder(
    address: str | os.PathLike[str] | Folder, options: Mapping[str, Any] | None = None
) -> Folder:
    """Point at a folder or a file; nothing is looked at yet.

    Args:
        address: A path, ``file://`` with a path, or any address that fsspec knows. A relative
            path stays one. What is open already is returned as it is.
        options: For the file system's constructor; ignored for a local address.
    """
    if isinstance(address, Folder):
        return address
    text = os.fspath(address)
    protocol, _ = fsspec.core.split_protocol(text)
    if protocol in {"file", "local"}:
        text = fsspec.url_to_fs(text)[1]
    if protocol in {None, "file", "local"}:
        return Folder(str(Path(text)))
    return Folder(text if text.endswith("://") else text.rstrip("/"), dict(options or {}))


def storage_options(
    credentials: Mapping[str, Any] | None, fs_args: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A catalog entry's credentials and ``fs_args`` as arguments of the file system."""
    opening = {"open_args_load", "open_args_save"}  # for datasets that open single files
    arguments = {key: value for key, value in (fs_args or {}).items() if key not in opening}
    return {**(credentials or {}), **arguments}


def _puts_are_whole(fs: Any) -> bool:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return not WHOLE_PUTS.isdisjoint(protocols)


@contextmanager
def _partial_file(fs: Any, target: str) -> Iterator[str]:
    """A file to write beside the target; it replaces the target once it is written."""
    partial = f"{target}.partial"
    fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    yield partial
    if getattr(fs, "local_file", False):
        Path(partial).replace(target)  # fsspec would move it into a folder of that name
    else:
        fs.mv(partial, target)


def _stamp(info: Mapping[str, Any]) -> str:
    # All of them: an ETag is a digest of the content, which may be written a second time.
    return " ".join([str(info["size"]), *(str(info[key]) for key in _VERSIONS if info.get(key))])
