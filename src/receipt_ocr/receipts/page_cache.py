"""Cache of decoded pages at training size, so that not every epoch decodes every photo."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.letterbox import resize_page

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]

_MIB = 1024 * 1024
_RESERVE = 2048 * _MIB  # left free on the disk, where checkpoints have to fit as well


class PageCache:
    """Pages read upright and resized, kept as files that all processes of a machine share.

    Files are memory-mapped, so the system's own page cache serves most reads. The first pages
    that fit the limit are kept: every epoch reads every page once, so evicting the oldest would
    evict each page just before its next use. A photo whose size or modification time changes
    counts as a new page. Writing is atomic, and a full disk costs only speed.
    """

    def __init__(
        self, folder: Path | None, sizes: Sequence[tuple[int, int]] = (), limit_mib: int = 0
    ) -> None:
        """Choose which pages are kept: the first that fit ``limit_mib``; without a folder none.

        ``sizes`` are (height, width) of every resized page, in order.
        """
        self._folder = folder if limit_mib > 0 else None
        needed = np.cumsum([3 * height * width for height, width in sizes])
        self._kept = int(np.searchsorted(needed, limit_mib * _MIB, side="right"))
        self._can_write = True

    @classmethod
    def for_stage(
        cls, root: Path | None, stage: int, sizes: Sequence[tuple[int, int]], limit_mib: int
    ) -> "PageCache":
        """Open the cache of one training size, and delete those of other sizes under ``root``."""
        if root is None:
            return cls(None)
        folder = root / str(stage)
        for other in root.glob("*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return cls(folder, sizes, limit_mib)

    def load(self, index: int, path: Path, size: tuple[int, int]) -> Image:
        """Load a page upright at (height, width); do not write to it, it may be a mapped file.

        The position of the page, ``index``, decides whether it is kept.

        Raises:
            FileNotFoundError: If there is no such photo.
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
    state = path.stat() if path.is_file() else None  # reading will report a missing photo
    stamp = (state.st_size, state.st_mtime_ns) if state else None
    digest = hashlib.sha256(f"{path.resolve()} {stamp} {size}".encode())
    return digest.hexdigest()[:24]
