"""Probability maps on disk: one lossless 8-bit PNG a page, and an index with their frames."""

import json
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap

__all__ = ["ProbabilityMapsDataset", "StoredMaps"]

INDEX = "frames.json"


class StoredMaps(LazyMaps):
    """Page name -> what reads its map when called; the folder is looked at when first asked.

    That lets a stage take the maps of every fold as inputs and use only those it is told to.
    """

    def __init__(self, folder: Path, made_by: str = "") -> None:
        """Point at a folder.

        Args:
            folder: Written by :class:`ProbabilityMapsDataset`.
            made_by: Command that makes the maps, for the error message.
        """
        super().__init__({})
        self.folder = folder
        self.made_by = made_by
        self._content: dict[str, Any] | None = None

    @property
    def exists(self) -> bool:
        """Whether the maps were written, completely."""
        return (self.folder / INDEX).is_file()

    @property
    def index(self) -> dict[str, dict[str, Any]]:
        """Page name -> file, page size and map-to-page matrix.

        Raises:
            FileNotFoundError: If the maps were never written.
        """
        pages: dict[str, dict[str, Any]] = self._read()["pages"]
        return pages

    @property
    def source(self) -> str:
        """Fingerprint of the detector that the maps are of.

        Raises:
            FileNotFoundError: If the maps were never written.
        """
        return str(self._read()["source"])

    def _read(self) -> dict[str, Any]:
        if self._content is None:
            if not self.exists:
                hint = f"; make them with: {self.made_by}" if self.made_by else ""
                raise FileNotFoundError(f"no probability maps in {self.folder}{hint}")
            self._content = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        content: dict[str, Any] = self._content or {}
        return content

    def __getitem__(self, page: str) -> LoadMap:
        return partial(_read_map, self.folder, page, self.index[page])

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


class ProbabilityMapsDataset(AbstractDataset[Mapping[str, LoadMap], StoredMaps]):
    """A folder of probability maps; saved page by page, so that memory does not grow.

    Example of a catalog entry::

        test_maps:
          type: receipt_ocr.datasets.probability_maps.ProbabilityMapsDataset
          filepath: data/07_model_output/test_maps
    """

    may_be_missing = True  # the maps of folds that do not vote need not be there

    def __init__(
        self, *, filepath: str, made_by: str = "", metadata: dict[str, Any] | None = None
    ) -> None:
        """Point at a folder.

        Args:
            filepath: The folder.
            made_by: Command that makes the maps, named where they are missing.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._folder = Path(filepath)
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> StoredMaps:
        """The maps, read one by one when asked for."""
        return StoredMaps(self._folder, self._made_by)

    def save(self, data: Mapping[str, LoadMap]) -> None:
        """Compute and write every map; the folder changes only when all are written."""
        from PIL import Image
        from tqdm import tqdm

        partial_folder, retired = self._sibling("partial"), self._sibling("retired")
        for leftover in (partial_folder, retired):
            shutil.rmtree(leftover, ignore_errors=True)
        partial_folder.mkdir(parents=True)
        index: dict[str, dict[str, Any]] = {}
        for number, (page, compute) in enumerate(
            tqdm(data.items(), desc=self._folder.name, unit="page", disable=None)
        ):
            page_map = compute()
            file = f"{number:05d}.png"
            Image.fromarray(page_map.probability).save(partial_folder / file)
            index[page] = {
                "file": file,
                "width": page_map.width,
                "height": page_map.height,
                "map_to_page": page_map.map_to_page.tolist(),
            }
        content = {"source": getattr(data, "source", ""), "pages": index}
        (partial_folder / INDEX).write_text(
            json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        if self._folder.exists():
            self._folder.rename(retired)
        partial_folder.rename(self._folder)
        shutil.rmtree(retired, ignore_errors=True)

    def _sibling(self, purpose: str) -> Path:
        return self._folder.with_name(f".{self._folder.name}.{purpose}")

    def _exists(self) -> bool:
        return StoredMaps(self._folder).exists

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


def _read_map(folder: Path, page: str, entry: Mapping[str, Any]) -> ProbabilityMap:
    import numpy as np
    from PIL import Image

    file = folder / entry["file"]
    try:
        with Image.open(file) as image:
            probability = np.asarray(image, dtype=np.uint8)
    except OSError as error:
        raise ValueError(f"the map of page {page!r} cannot be read from {file}: {error}") from error
    return ProbabilityMap(
        probability, np.array(entry["map_to_page"]), entry["width"], entry["height"]
    )
