"""Stored probability maps: one lossless 8-bit PNG a page, and an index with their frames."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from typing import Any
from uuid import uuid4

from kedro.io import AbstractDataset

from receipt_ocr.datasets.previews import ImagePreview, encode_picture
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, ProbabilityMap
from receipt_ocr.storage.files import BATCH, Folder, open_folder, storage_options

INDEX = "frames.json"


class StoredMaps(LazyMaps):
    """Page name -> a function that reads its map; the folder is opened at the first question.

    So a stage can take the maps of every fold as inputs and use only those it is told to.
    """

    def __init__(self, folder: Folder, made_by: str = "") -> None:
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
        return self.folder.exists(INDEX)

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
        """Fingerprint of the detector that predicted the maps.

        Raises:
            FileNotFoundError: If the maps were never written.
        """
        return str(self._read()["source"])

    def _read(self) -> dict[str, Any]:
        if self._content is None:
            if not self.exists:
                hint = f"; make them with: {self.made_by}" if self.made_by else ""
                raise FileNotFoundError(f"no probability maps in {self.folder}{hint}")
            self._content = json.loads(self.folder.read(INDEX))
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

    The maps of one save appear all at once or not at all, whatever ends the save: a new local
    folder takes the place of the earlier one. An object store cannot rename folders: there each
    save writes into a sub-folder of its own, and the index, written last, names the files that
    count. The next save removes what an interrupted one has left.

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
        """Compute and write every map; the earlier ones count until all are written."""
        folder, save = self._filepath, uuid4().hex[:12]
        if folder.local is not None:
            with folder.replaced() as fresh:
                _write(fresh, data, folder.name)
            return
        _write(folder, data, folder.name, f"{save}/")
        for entry in folder.entries():
            if entry.name not in {INDEX, save}:
                entry.remove()

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


def _write(folder: Folder, data: Mapping[str, LoadMap], title: str, prefix: str = "") -> None:
    """Write every map under a prefix, and last the index that names them."""
    index: dict[str, dict[str, Any]] = {}
    batch: dict[str, bytes] = {}
    for number, (page, page_map) in enumerate(_compute(data, title)):
        file = f"{prefix}{number:05d}.png"
        batch[file] = _encode_map(page_map)
        index[page] = _describe_map(file, page_map)
        if len(batch) == BATCH:
            folder.write(batch)
            batch = {}
    folder.write(batch)
    content = {"source": getattr(data, "source", ""), "pages": index}
    folder.write({INDEX: json.dumps(content, ensure_ascii=False, indent=1).encode()})


def _compute(data: Mapping[str, LoadMap], title: str) -> Iterator[tuple[str, ProbabilityMap]]:
    """Page and map, one after the other."""
    from tqdm import tqdm

    for page, compute in tqdm(data.items(), desc=title, unit="page", disable=None):
        yield page, compute()


def _describe_map(file: str, page_map: ProbabilityMap) -> dict[str, Any]:
    return {
        "file": file,
        "width": page_map.width,
        "height": page_map.height,
        "map_to_page": page_map.map_to_page.tolist(),
    }


def _encode_map(page_map: ProbabilityMap) -> bytes:
    from PIL import Image

    content = BytesIO()
    Image.fromarray(page_map.probability).save(content, format="png")
    return content.getvalue()


def _read_map(folder: Folder, page: str, entry: Mapping[str, Any]) -> ProbabilityMap:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(folder.read(entry["file"]))) as image:
            probability = np.asarray(image, dtype=np.uint8)
        matrix = np.array(entry["map_to_page"])
        return ProbabilityMap(probability, matrix, entry["width"], entry["height"])
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the map of page {page!r} cannot be read from {folder}/{entry['file']}: {error}"
        ) from error
