"""Stored probability maps: one lossless 8-bit PNG a page, and an index with their frames."""

import json
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from kedro.io import AbstractDataset

from receipt_ocr.datasets.previews import ImagePreview, encode_picture
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap
from receipt_ocr.storage.files import BATCH, RemoteFolder, open_folder, storage_options

__all__ = ["ProbabilityMapsDataset", "StoredMaps"]

INDEX = "frames.json"


class StoredMaps(LazyMaps):
    """Page name -> what reads its map when called; the folder is looked at when first asked.

    That lets a stage take the maps of every fold as inputs and use only those it is told to.
    """

    def __init__(self, folder: Path | RemoteFolder, made_by: str = "") -> None:
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
        if isinstance(self.folder, RemoteFolder):
            return self.folder.exists(INDEX)
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
            self._content = json.loads(_read(self.folder, INDEX))
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

    The maps of one save appear all at once or not at all, whatever ends the save. A local folder
    is written beside the earlier one and renamed. A remote one cannot be: each save writes into
    a sub-folder of its own, and the index, put last, names the files that count; what a save
    that broke off has left there is removed by the next one.

    Example of a catalog entry::

        test_maps:
          type: receipt_ocr.datasets.probability_maps.ProbabilityMapsDataset
          filepath: data/07_model_output/test_maps
    """

    may_be_missing = True  # the maps of folds that do not vote need not be there

    def __init__(
        self,
        *,
        filepath: str,
        made_by: str = "",
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a folder.

        Args:
            filepath: The folder, a path or any address that fsspec knows.
            made_by: Command that makes the maps, named where they are missing.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        self._filepath = open_folder(filepath, storage_options(credentials, fs_args))
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> StoredMaps:
        """The maps, read one by one when asked for."""
        return StoredMaps(self._filepath, self._made_by)

    def save(self, data: Mapping[str, LoadMap]) -> None:
        """Compute and write every map; the folder changes only when all are written."""
        if isinstance(self._filepath, RemoteFolder):
            _save_remotely(self._filepath, data)
        else:
            _save_locally(self._filepath, data)

    def preview(self) -> ImagePreview:
        """The map of the first page for Kedro-Viz, or None."""
        from PIL import Image

        maps = self.load()
        if not maps.exists or not maps:
            return None
        return encode_picture(Image.fromarray(maps[next(iter(maps))]().probability))

    def _exists(self) -> bool:
        return StoredMaps(self._filepath).exists

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _save_locally(folder: Path, data: Mapping[str, LoadMap]) -> None:
    from PIL import Image

    partial_folder, retired = (
        folder.with_name(f".{folder.name}.{purpose}") for purpose in ("partial", "retired")
    )
    for leftover in (partial_folder, retired):
        shutil.rmtree(leftover, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    index: dict[str, dict[str, Any]] = {}
    for file, page, page_map in _compute(data, folder.name):
        Image.fromarray(page_map.probability).save(partial_folder / file)
        index[page] = _describe_map(file, page_map)
    (partial_folder / INDEX).write_bytes(_encode_index(data, index))
    if folder.exists():
        folder.rename(retired)
    partial_folder.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def _save_remotely(folder: RemoteFolder, data: Mapping[str, LoadMap]) -> None:
    generation = uuid4().hex[:12]
    index: dict[str, dict[str, Any]] = {}
    batch: dict[str, bytes] = {}
    for name, page, page_map in _compute(data, folder.name):
        file = f"{generation}/{name}"
        batch[file] = _encode_map(page_map)
        index[page] = _describe_map(file, page_map)
        if len(batch) == BATCH:
            folder.write(batch)
            batch = {}
    folder.write(batch)
    folder.write({INDEX: _encode_index(data, index)})
    valid = {INDEX, *(entry["file"] for entry in index.values())}
    folder.delete(name for name in folder.stamps() if name not in valid)


def _compute(data: Mapping[str, LoadMap], title: str) -> Iterator[tuple[str, str, ProbabilityMap]]:
    """File name, page and map, one after the other."""
    from tqdm import tqdm

    pages = tqdm(data.items(), desc=title, unit="page", disable=None)
    for number, (page, compute) in enumerate(pages):
        yield f"{number:05d}.png", page, compute()


def _describe_map(file: str, page_map: ProbabilityMap) -> dict[str, Any]:
    return {
        "file": file,
        "width": page_map.width,
        "height": page_map.height,
        "map_to_page": page_map.map_to_page.tolist(),
    }


def _encode_index(data: Mapping[str, LoadMap], index: Mapping[str, Any]) -> bytes:
    content = {"source": getattr(data, "source", ""), "pages": index}
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def _encode_map(page_map: ProbabilityMap) -> bytes:
    from PIL import Image

    content = BytesIO()
    Image.fromarray(page_map.probability).save(content, format="png")
    return content.getvalue()


def _read(folder: Path | RemoteFolder, file: str) -> bytes:
    return folder.read(file) if isinstance(folder, RemoteFolder) else (folder / file).read_bytes()


def _read_map(folder: Path | RemoteFolder, page: str, entry: Mapping[str, Any]) -> ProbabilityMap:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(_read(folder, entry["file"]))) as image:
            probability = np.asarray(image, dtype=np.uint8)
        matrix = np.array(entry["map_to_page"])
        return ProbabilityMap(probability, matrix, entry["width"], entry["height"])
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the map of page {page!r} cannot be read from {folder}/{entry['file']}: {error}"
        ) from error
