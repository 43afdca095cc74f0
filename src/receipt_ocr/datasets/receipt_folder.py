"""The raw folder: real receipts are only read, synthetic ones are written here."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from receipt_ocr.receipts.settings import SUBSETS

if TYPE_CHECKING:
    from receipt_ocr.receipts.synthesis import SyntheticPage

__all__ = ["ReceiptFolderDataset"]

_MARKER = "SYNTHETIC.txt"


class ReceiptFolderDataset(AbstractDataset["Iterable[SyntheticPage]", Path]):
    """A folder in the competition's layout; loads as its path, saves synthetic pages."""

    when_missing = (
        "Put the receipts there, or name another folder: in the environment variable "
        "RECEIPT_OCR_RAW (with --env=sroie: RECEIPT_OCR_SROIE), or with --params raw_folder=...; "
        "synthetic receipts are drawn by: kedro run --env=demo --pipeline=synthesis"
    )
    """What to do if the folder or a part of it is not there."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """A raw folder.

        Args:
            filepath: The folder.
            metadata: Not used here; other tools read it.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The folder, after a look at its layout.

        Raises:
            DatasetError: If the folder or a part of it that must be there is missing.
        """
        from receipt_ocr.receipts.raw_layout import find_subsets

        try:
            find_subsets(self._filepath)
        except FileNotFoundError as error:
            raise DatasetError(f"{error}\n{self.when_missing}") from error
        return self._filepath

    def save(self, data: "Iterable[SyntheticPage]") -> None:
        """Write synthetic pages; the folder appears whole or not at all.

        Raises:
            DatasetError: If the folder holds anything but synthetic receipts.
        """
        self._refuse_to_overwrite()
        partial, retired = self._sibling("partial"), self._sibling("retired")
        for leftover in (partial, retired):
            shutil.rmtree(leftover, ignore_errors=True)
        _write_pages(partial, data)
        if self._filepath.exists():
            self._filepath.rename(retired)
        partial.rename(self._filepath)
        shutil.rmtree(retired, ignore_errors=True)

    def _refuse_to_overwrite(self) -> None:
        folder = self._filepath
        is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        if not is_free and not (folder / _MARKER).is_file():
            raise DatasetError(
                f"{folder} holds something that is not synthetic (no {_MARKER} in it); synthetic "
                "receipts would replace it. Name another folder with --params raw_folder=..."
            )

    def _sibling(self, purpose: str) -> Path:
        return self._filepath.with_name(f".{self._filepath.name}.{purpose}")

    def _exists(self) -> bool:
        return self._filepath.is_dir() and any(self._filepath.iterdir())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}


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
