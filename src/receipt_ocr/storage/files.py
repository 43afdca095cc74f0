"""Files at any address that fsspec knows."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

__all__ = ["BATCH", "RemoteFolder", "open_folder", "storage_options"]

BATCH = 64
"""Files that are given to the file system at once, which moves several where it can."""

WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"})
"""Protocols of object stores: a put that breaks off leaves the earlier object as it was."""

_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""What file systems call that which changes when a file is written."""


@dataclass(frozen=True)
class RemoteFolder:
    """A folder at an address with a protocol, such as ``s3://bucket/prefix``.

    It holds no connection, so that it may be pickled or copied by a fork. Every file that it
    writes is all or nothing, also when killed: by one put on object stores; elsewhere by a move
    from ``NAME.partial``, as far as the file system moves in one step.

    Attributes:
        address: With protocol, without a slash at the end.
        options: For the file system's constructor, such as an endpoint or keys.
    """

    address: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    def __truediv__(self, name: str) -> "RemoteFolder":
        """A file or folder in this one."""
        return RemoteFolder(f"{self.address}/{name}", self.options)

    def glob(self) -> "list[RemoteFolder]":
        """What the address matches now, if it holds ``*``."""
        fs, root = self._open()
        fs.invalidate_cache()
        protocol = self.address.partition("://")[0]
        return [RemoteFolder(f"{protocol}://{path}", self.options) for path in fs.glob(root)]

    @property
    def parent(self) -> "RemoteFolder":
        """The folder around this one."""
        return RemoteFolder(self.address.rpartition("/")[0], self.options)

    def exists(self, name: str = "") -> bool:
        """Whether there is such a file or sub-folder now; the folder itself without a name."""
        fs, root = self._open()
        path = f"{root}/{name}".rstrip("/")
        fs.invalidate_cache(path)  # others may have written since
        return bool(fs.exists(path))

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        fs, root = self._open()
        content: bytes = fs.cat_file(f"{root}/{name}")
        return content

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Write files, each of them all or nothing; several at once where that is possible.

        Args:
            contents: Name -> content.
        """
        fs, root = self._open()
        with self._named_in_errors():
            if _puts_are_whole(fs):
                fs.pipe({f"{root}/{name}": content for name, content in contents.items()})
                return
            for name, content in contents.items():
                partial = _make_partial(fs, f"{root}/{name}")
                fs.pipe_file(partial, content)
                fs.mv(partial, f"{root}/{name}")

    def upload(self, sources: Mapping[str, Path]) -> None:
        """Write local files one after another, in the order given, each all or nothing.

        Args:
            sources: Name -> local file.
        """
        fs, root = self._open()
        with self._named_in_errors():
            for name, source in sources.items():
                target = f"{root}/{name}"
                if _puts_are_whole(fs):
                    fs.put_file(str(source), target)
                else:
                    partial = _make_partial(fs, target)
                    fs.put_file(str(source), partial)
                    fs.mv(partial, target)

    def download(self, targets: Mapping[str, Path]) -> None:
        """Read files into local ones; several at once where that is possible.

        Args:
            targets: Name -> local file, whose folder is made.
        """
        fs, root = self._open()
        fs.get([f"{root}/{name}" for name in targets], [str(path) for path in targets.values()])

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
        fs.invalidate_cache(root)  # or others' later files would seem not to exist
        stamps = {
            path[len(root) :].lstrip("/"): _stamp(info)
            for path, info in found.items()
            if info["type"] == "file" and path != root
        }
        for name in stamps:
            if ".." in PurePosixPath(name).parts:
                raise ValueError(f"{self.address} holds {name!r}, which leads out of the folder")
        return stamps

    def delete(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are no error."""
        fs, root = self._open()
        for name in names:
            with suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{name}")

    def remove(self) -> None:
        """Remove the folder with all that it holds, or the file of this address; if it is there."""
        fs, root = self._open()
        with suppress(FileNotFoundError):
            fs.rm(root, recursive=True)
        fs.invalidate_cache(root)

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """Libraries say "the specified bucket does not exist" or "forbidden", and not where."""
        try:
            yield
        except (FileNotFoundError, PermissionError) as error:
            raise type(error)(f"{self.address}: {error}") from error

    def _open(self) -> tuple[Any, str]:
        fs, root = fsspec.url_to_fs(self.address, **self.options)
        return fs, str(root).rstrip("/")


def open_folder(
    address: str | os.PathLike[str], options: Mapping[str, Any] | None = None
) -> Path | RemoteFolder:
    """A path for a local address (plain or ``file://``), else the remote folder.

    Args:
        address: A path or any address that fsspec knows; nothing is looked at yet.
        options: For the file system's constructor; ignored for a local address.
    """
    text = os.fspath(address)
    protocol, _ = fsspec.core.split_protocol(text)
    if protocol is None:
        return Path(text)
    if protocol in {"file", "local"}:
        return Path(fsspec.url_to_fs(text)[1])
    address = text if text.endswith("://") else text.rstrip("/")
    return RemoteFolder(address, dict(options or {}))


def storage_options(
    credentials: Mapping[str, Any] | None, fs_args: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a catalog entry says of its file system, as the constructor's arguments."""
    opening = {"open_args_load", "open_args_save"}  # for datasets that open single files
    arguments = {key: value for key, value in (fs_args or {}).items() if key not in opening}
    return {**(credentials or {}), **arguments}


def _puts_are_whole(fs: Any) -> bool:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return not WHOLE_PUTS.isdisjoint(protocols)


def _make_partial(fs: Any, target: str) -> str:
    fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    return f"{target}.partial"


def _stamp(info: Mapping[str, Any]) -> str:
    # All of them: an ETag is a digest of the content, which may be written a second time.
    return " ".join([str(info["size"]), *(str(info[key]) for key in _VERSIONS if info.get(key))])
