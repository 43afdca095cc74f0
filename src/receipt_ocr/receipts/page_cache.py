"""Decoded pages at training size, so that an epoch does not open every photo again."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.letterbox import resize_page

__all__ = ["PageCache"]

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]

_MIB = 1024 * 1024
_RESERVE = 2048 * _MIB  # of the disk: checkpoints have to fit as well


class PageCache:
    """Pages read upright and resized, kept as files which all processes of a machine share.

    Reading one is a memory map of what the system still holds in memory. As many pages as fit the
    limit are kept, the first ones: every epoch reads every page once, so that throwing out the
    oldest would throw out all. A page counts as another one when its file's size or time changes.
    A file is renamed into place, and a disk with little room costs only speed.
    """

    def __init__(
        self, folder: Path | None, sizes: Sequence[tuple[int, int]] = (), limit_mib: int = 0
    ) -> None:
        """Name what may be kept.

        Args:
            folder: Where; None keeps nothing.
            sizes: (height, width) of every page at this size, in their order.
            limit_mib: Of the kept pages together.
        """
        self._folder = folder if limit_mib > 0 else None
        needed = np.cumsum([3 * height * width for height, width in sizes])
        self._kept = int(np.searchsorted(needed, limit_mib * _MIB, side="right"))
        self._can_write = True

    @classmethod
    def for_stage(
        cls, root: Path | None, stage: int, sizes: Sequence[tuple[int, int]], limit_mib: int
    ) -> "PageCache":
        """The cache of one stage of the pages' size; what another stage kept is removed."""
        if root is None:
            return cls(None)
        folder = root / str(stage)
        for other in root.glob("*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return cls(folder, sizes, limit_mib)

    def load(self, index: int, path: Path, size: tuple[int, int]) -> Image:
        """A page, upright and resized; it may be a map of a file and must not be written to.

        Args:
            index: Position of the page, which decides whether it is kept.
            path: Of the photo.
            size: (height, width) in pixels.

        Raises:
            ValueError: If the photo cannot be read.
        """
        if self._folder is None or index >= self._kept:
            return _read(path, size)
        file = self._folder / f"{_identify(path, size)}.npy"
        try:
            kept: Image = np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError):  # not kept yet, or damaged
            image = _read(path, size)
            self._keep(file, image)
            return image
        return kept

    def _keep(self, file: Path, image: Image) -> None:
        if not self._can_write:
            return
        partial = file.with_name(f"{file.stem}.{np.random.default_rng().integers(2**62)}.partial")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(file.parent).free
            if free < _RESERVE + image.nbytes:
                raise OSError(f"{free // _MIB} MiB are free on its disk")
            with partial.open("wb") as stream:
                np.save(stream, image)
            partial.replace(file)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            self._can_write = False
            log.warning(
                "Decoded pages cannot be kept in %s (%s): every epoch decodes them again; "
                "lower training.cache_mib or make room",
                file.parent,
                error,
            )


def _read(path: Path, size: tuple[int, int]) -> Image:
    return resize_page(read_upright(path), size[1], size[0])


def _identify(path: Path, size: tuple[int, int]) -> str:
    state: Any = path.stat() if path.is_file() else None  # a missing photo is named when read
    stamp = (state.st_size, state.st_mtime_ns) if state else None
    digest = hashlib.sha256(f"{path.resolve()} {stamp} {size}".encode())
    return digest.hexdigest()[:24]
