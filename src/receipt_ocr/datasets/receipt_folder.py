"""The raw folder: real receipts are only read; synthetic ones are written here."""

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from receipt_ocr.datasets.previews import ImagePreview, encode_picture
from receipt_ocr.receipts.settings import SUBSETS
from receipt_ocr.storage.cache import RemoteCache
from receipt_ocr.storage.files import BATCH, Folder, open_folder, storage_options

if TYPE_CHECKING:
    from receipt_ocr.synthesis.dataset import SyntheticPage

_MARKER = "SYNTHETIC.txt"
_LAST = f"jsons/{SUBSETS['train']}.json"


class ReceiptFolderDataset(AbstractDataset["Iterable[SyntheticPage]", Path]):
    """A folder in the competition's layout; loads as its path, saves synthetic pages.

    A folder at a remote address loads as a copy on this machine, in a folder of the user's cache
    (see :func:`receipt_ocr.storage.cache.cache_folder`); only what is missing there or has changed
    is downloaded.
    """

    when_missing = (
        "Put the receipts there, or name another folder: in the environment variable "
        "RECEIPT_OCR_RAW (with --env=sroie: RECEIPT_OCR_SROIE), or with --params raw_folder=...; "
        "synthetic receipts are drawn by: kedro run --env=demo --pipeline=synthesis"
    )
    """Advice if the folder or a part of it is not there."""

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """A raw folder.

        Args:
            filepath: The folder, a path or any address that fsspec knows.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Not used here; other tools read it.
        """
        self._filepath = open_folder(filepath, storage_options(credentials, fs_args))
        self.metadata = metadata

    def load(self) -> Path:
        """The folder, or its copy on this machine, after a look at its layout.

        Raises:
            DatasetError: If the folder or a part of it that must be there is missing.
        """
        from receipt_ocr.receipts.raw_layout import find_subsets

        copy = RemoteCache(self._filepath)
        try:
            copy.fetch()
            find_subsets(copy.path)
        except FileNotFoundError as error:
            is_local = self._filepath.local is not None
            copied = "" if is_local else f"{copy.path} is a copy of {self._filepath}\n"
            raise DatasetError(f"{error}\n{copied}{self.when_missing}") from error
        return copy.path

    def save(self, data: "Iterable[SyntheticPage]") -> None:
        """Write synthetic pages; the folder is accepted whole or not at all.

        All pages are drawn before the earlier folder is touched. The annotations of the training
        pages are removed first and written last: without them the folder is not accepted, and
        the next synthesis replaces it.

        Raises:
            DatasetError: If the folder holds anything but synthetic receipts.
        """
        folder = self._filepath
        content = {entry.name for entry in folder.entries()}
        if content and _MARKER not in content:
            raise DatasetError(
                f"{folder} holds something that is not synthetic (no {_MARKER} in it); synthetic "
                "receipts would replace it. Name another folder with --params raw_folder=..."
            )
        with TemporaryDirectory() as drawn:
            _write_pages(Path(drawn), data)
            _replace(folder, Path(drawn))

    def preview(self, pages: int = 4) -> ImagePreview:
        """The first training pages side by side for Kedro-Viz, or None.

        A remote folder has none: it would be downloaded for that.
        """
        from receipt_ocr.receipts.raw_layout import find_subsets

        folder = self._filepath.local
        if folder is None or not self._exists():
            return None
        train = next(subset for subset in find_subsets(folder) if subset.name == "train")
        return _join_pages([train.images / name for name in train.list_images()[:pages]])

    def _exists(self) -> bool:
        return bool(self._filepath.entries())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _join_pages(files: list[Path]) -> ImagePreview:
    from PIL import Image

    from receipt_ocr.receipts.images import read_upright

    pages = [Image.fromarray(read_upright(file)) for file in files]
    for page in pages:
        page.thumbnail((400, 400))
    gap = 8
    size = sum(page.width + gap for page in pages), max((page.height for page in pages), default=0)
    row = Image.new("RGB", size, "white")
    left = 0
    for page in pages:
        row.paste(page, (left, 0))
        left += page.width + gap
    return encode_picture(row) if pages else None


def _replace(folder: Folder, drawn: Path) -> None:
    """Put drawn files in place of the earlier ones; see :meth:`ReceiptFolderDataset.save`."""
    files = {f.relative_to(drawn).as_posix(): f for f in drawn.rglob("*") if f.is_file()}
    folder.write({_MARKER: files.pop(_MARKER).read_bytes()})  # what follows may be replaced
    folder.delete([_LAST])
    for entry in folder.entries():
        if entry.name != _MARKER:
            entry.remove()
    last = {_LAST: files.pop(_LAST).read_bytes()}
    names = list(files)
    for start in range(0, len(names), BATCH):
        folder.write({name: files[name].read_bytes() for name in names[start : start + BATCH]})
    folder.write(last)


def _write_pages(folder: Path, pages: "Iterable[SyntheticPage]") -> None:
    annotations: dict[str, dict[str, object]] = {"train": {}, "test": {}}
    for subset in annotations:
        (folder / "images" / SUBSETS[subset]).mkdir(parents=True)
    for page in pages:
        images = folder / "images" / SUBSETS[page.subset]
        images.mkdir(exist_ok=True)
        (images / page.name).write_bytes(page.jpeg)
        entry = {"img_w": page.width, "img_h": page.height, "words": page.words}
        annotations.setdefault(page.subset, {})[page.name] = entry
    (folder / "jsons").mkdir()
    (folder / _MARKER).write_text(
        "Drawn by receipt_ocr; the next synthesis replaces this folder.\n"
    )
    for subset, entries in annotations.items():
        text = json.dumps({"images": entries}, ensure_ascii=False)
        (folder / "jsons" / f"{SUBSETS[subset]}.json").write_text(text, encoding="utf-8")
