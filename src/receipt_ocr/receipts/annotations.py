"""Raw folder -> tables of pages, words and everything that could not be used."""

import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from receipt_ocr.geometry.polygons import (
    Polygon,
    PolygonError,
    flatten_polygon,
    transform_polygon,
)
from receipt_ocr.receipts.annotation_checks import (
    fits_only_stored_frame,
    is_safe_name,
    parse_polygon,
    place_on_page,
)
from receipt_ocr.receipts.images import ImageInfo, upright_matrix, verify_image
from receipt_ocr.receipts.raw_layout import RawSubset, find_subsets, read_annotation_file
from receipt_ocr.receipts.settings import IngestionSettings

log = logging.getLogger(__name__)

_PAGE_TYPES = {
    **dict.fromkeys(("page", "subset", "path"), "str"),
    **dict.fromkeys(("width", "height", "orientation", "word_count"), "int64"),
    "has_truth": "bool",
}
_WORD_TYPES = {
    **dict.fromkeys(("page", "subset", "word"), "str"),
    **{"polygon": "object", "transcription": "str", "ignored": "bool"},
    **{"clipped_points": "int64", "reordered": "bool"},
}
_REJECTED_TYPES = dict.fromkeys(("subset", "page", "word", "reason", "detail"), "str")

_MOST_THREADS = 8


@dataclass(frozen=True)
class Receipts:
    """Three tables; a page's name occurs once in ``pages``, whatever its subset.

    ``pages``: page, subset, path (POSIX, from the raw folder), width and height (upright
    pixels), orientation (EXIF), word_count, has_truth.
    ``words``: page, subset, word (its id), polygon (flat ``[x1, y1, ...]``, upright page pixels),
    transcription (missing where there is none), ignored (illegible: not scored, not learnt),
    clipped_points (moved onto the page's edge), reordered (a bow-tie whose corners were put in
    order).
    ``rejected``: subset, page, word ("" for a whole page), reason (a fixed code), detail.
    """

    pages: pd.DataFrame
    words: pd.DataFrame
    rejected: pd.DataFrame


def read_receipts(folder: Path, settings: IngestionSettings | None = None) -> Receipts:
    """Read and check everything in a raw folder of the competition's layout.

    What cannot be used goes to ``rejected`` with its reason. A test page whose image is fine
    always stays a page; its truth may be missing.

    Raises:
        FileNotFoundError: If the folder or a part of it that must be there is missing.
        ValueError: If a JSON file has another shape, or a subset is left without a page.
    """
    settings = settings or IngestionSettings()
    readers: list[_SubsetReader] = []
    taken: dict[str, str] = {}
    # Test first, train last: where a name occurs twice, the page that is scored keeps it.
    for subset in reversed(find_subsets(folder)):
        reader = _SubsetReader(subset, folder, settings)
        reader.read(taken)
        readers.insert(0, reader)
    receipts = Receipts(
        pages=_to_table([row for reader in readers for row in reader.pages], _PAGE_TYPES),
        words=_to_table([row for reader in readers for row in reader.words], _WORD_TYPES),
        rejected=_to_table([row for reader in readers for row in reader.rejected], _REJECTED_TYPES),
    )
    _log_counts(receipts)
    for reader in readers:
        _require_pages(receipts, folder, reader.subset.name)
    return receipts


class _SubsetReader:
    """Collects the rows that one subset adds to the three tables."""

    def __init__(self, subset: RawSubset, folder: Path, settings: IngestionSettings) -> None:
        self.subset = subset
        self.pages: list[dict[str, Any]] = []
        self.words: list[dict[str, Any]] = []
        self.rejected: list[dict[str, Any]] = []
        self._folder = folder
        self._settings = settings

    def read(self, taken: dict[str, str]) -> None:
        """Fill the rows; ``taken`` is page name -> subset of all subsets read so far."""
        path = self.subset.annotations
        annotations = {} if path is None else read_annotation_file(path)
        is_test = self.subset.name == "test"
        # A test JSON without a single word withholds the truth; it does not say "blank pages".
        has_truth = not is_test or any(annotations.values())
        on_disk = self.subset.list_images()
        # Every test image needs its row in the submission, whether or not its truth is known.
        names = sorted({*annotations, *on_disk} if is_test else annotations)
        usable = [name for name in names if self._accept_name(name, taken)]
        taken.update(dict.fromkeys(usable, self.subset.name))
        for name, info in zip(usable, self._inspect_images(usable), strict=True):
            if isinstance(info, ImageInfo):
                is_known = has_truth and name in annotations
                self._add_page(name, info, annotations.get(name, {}), is_known)
            else:
                self._reject(name, *info)
        for name in sorted(set(on_disk) - set(names)):
            detail = f"the image lies in its folder, but {self.subset.annotations} does not name it"
            self._reject(name, "not_annotated", detail)

    def _accept_name(self, name: str, taken: Mapping[str, str]) -> bool:
        if not is_safe_name(name):
            detail = f"a page's name must be a plain file name in {self.subset.images}"
            self._reject(name, "unsafe_name", detail)
        elif name in taken:
            detail = f"subset {taken[name]} has a page of this name; learning from it may leak"
            self._reject(name, "duplicate_name", detail)
        else:
            return True
        return False

    def _inspect_images(self, names: list[str]) -> list[ImageInfo | tuple[str, str]]:
        """Decode every image once, in threads: its size, or why it cannot be used."""
        paths = [self.subset.images / name for name in names]
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            title = f"reading {self.subset.name} pages"
            return list(tqdm(pool.map(_inspect_image, paths), title, len(paths), disable=None))

    def _add_page(
        self, name: str, info: ImageInfo, annotated: Mapping[str, Any], has_truth: bool
    ) -> None:
        polygons = self._parse_polygons(name, annotated)
        if fits_only_stored_frame(list(polygons.values()), info, self._settings.clip_margin):
            if self._settings.unrotated_polygons == "rotate":
                turn = upright_matrix(info)
                polygons = {word: transform_polygon(p, turn) for word, p in polygons.items()}
            else:
                self._reject_frame(name, info)
                if self.subset.name != "test":
                    return
                polygons, has_truth = {}, False
        rows = self._place_words(name, info, polygons, annotated)
        self.words += rows
        page = {
            "page": name,
            "subset": self.subset.name,
            "path": (self.subset.images / name).relative_to(self._folder).as_posix(),
            "width": info.width,
            "height": info.height,
            "orientation": info.orientation,
            "word_count": len(rows),
            "has_truth": has_truth,
        }
        self.pages.append(page)

    def _parse_polygons(self, name: str, annotated: Mapping[str, Any]) -> dict[str, Polygon]:
        polygons = {}
        for word, entry in annotated.items():
            try:
                polygons[word] = parse_polygon(entry)
            except PolygonError as error:
                self._reject(name, error.reason, str(error), word)
        return polygons

    def _place_words(
        self,
        name: str,
        info: ImageInfo,
        polygons: Mapping[str, Polygon],
        annotated: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        rows = []
        for word, polygon in polygons.items():
            try:
                placed = place_on_page(polygon, info, self._settings.clip_margin)
            except PolygonError as error:
                self._reject(name, error.reason, str(error), word)
                continue
            transcription = annotated[word].get("transcription")
            row = {
                "page": name,
                "subset": self.subset.name,
                "word": word,
                "polygon": flatten_polygon(placed.polygon),
                "transcription": transcription if isinstance(transcription, str) else None,
                "ignored": annotated[word].get("illegibility") in (True, "true", "True"),
                "clipped_points": placed.clipped_points,
                "reordered": placed.is_reordered,
            }
            rows.append(row)
        return rows

    def _reject_frame(self, name: str, info: ImageInfo) -> None:
        stored_width, stored_height = info.stored_size
        detail = (
            f"the words fit the {stored_width}x{stored_height} pixels as stored, not the page as "
            f"EXIF orientation {info.orientation} turns it ({info.width}x{info.height}); if the "
            "picture looks right with them, set ingestion.unrotated_polygons to 'rotate'"
        )
        self._reject(name, "unrotated_frame", detail)

    def _reject(self, page: str, reason: str, detail: str, word: str = "") -> None:
        values = (self.subset.name, page, word, reason, detail)
        self.rejected.append(dict(zip(_REJECTED_TYPES, values, strict=True)))


def _inspect_image(path: Path) -> ImageInfo | tuple[str, str]:
    """Size of the image, or the reason and the detail why it cannot be used."""
    try:
        return verify_image(path)
    except FileNotFoundError as error:
        return "image_missing", str(error)
    except ValueError as error:
        return "image_unreadable", str(error)


def _to_table(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _log_counts(receipts: Receipts) -> None:
    for name, pages in receipts.pages.groupby("subset", sort=False):
        words = receipts.words[receipts.words["subset"] == name]
        log.info(
            "%s: %d pages (%d without words), %d words, %d ignored, %d points clipped, "
            "%d bow-ties put in order%s",
            name,
            len(pages),
            (pages["word_count"] == 0).sum(),
            len(words),
            words["ignored"].sum(),
            words["clipped_points"].sum(),
            words["reordered"].sum(),
            "" if pages["has_truth"].any() else ", truth withheld",
        )
    if receipts.rejected.empty:
        log.info("rejected: nothing")
    for (subset, reason), rows in receipts.rejected.groupby(["subset", "reason"]):
        whole_pages = (rows["word"] == "").sum()
        log.warning(
            "rejected in %s: %s, %d pages, %d words (first: %s %s: %s)",
            subset,
            reason,
            whole_pages,
            len(rows) - whole_pages,
            *rows.iloc[0][["page", "word", "detail"]],
        )


def _require_pages(receipts: Receipts, folder: Path, subset: str) -> None:
    if (receipts.pages["subset"] == subset).any():
        return
    rejected = receipts.rejected[receipts.rejected["subset"] == subset]
    reasons = ", ".join(f"{k} {v}" for k, v in rejected["reason"].value_counts().items())
    cause = f"all were rejected ({reasons})" if reasons else "no image was found"
    first = f"; first: {rejected.iloc[0]['detail']}" if reasons else ""
    raise ValueError(f"{folder} has no usable {subset} page: {cause}{first}")
