"""One subset of the raw folder -> rows of the pages, words and rejected tables."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from receipt_ocr.geometry.polygons import Matrix, Polygon, PolygonError
from receipt_ocr.receipts.annotation_checks import (
    fits_only_stored_frame,
    is_safe_name,
    parse_polygon,
    place_on_page,
)
from receipt_ocr.receipts.images import ImageInfo, upright_matrix, verify_image
from receipt_ocr.receipts.raw_layout import RawSubset, read_annotation_file
from receipt_ocr.receipts.settings import IngestionSettings

__all__ = ["SubsetReading"]


class SubsetReading:
    """The rows that one subset adds to the tables."""

    def __init__(self, subset: RawSubset, folder: Path, settings: IngestionSettings) -> None:
        self.subset = subset
        self.pages: list[dict[str, Any]] = []
        self.words: list[dict[str, Any]] = []
        self.rejected: list[dict[str, Any]] = []
        self._folder = folder
        self._settings = settings

    def read(self, taken: dict[str, str]) -> None:
        """Fill the rows.

        Args:
            taken: Page name -> subset, of the subsets read before; this one's names are added.
        """
        annotations = self._read_annotations()
        is_test = self.subset.name == "test"
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

    def _read_annotations(self) -> dict[str, Mapping[str, Any]]:
        path = self.subset.annotations
        return {} if path is None else read_annotation_file(path)

    def _accept_name(self, name: str, taken: Mapping[str, str]) -> bool:
        if not is_safe_name(name):
            detail = f"a page's name must be a plain file name in {self.subset.images}"
            self._reject(name, "unsafe_name", detail)
            return False
        if name in taken:
            detail = f"subset {taken[name]} has a page of this name; learning from it may leak"
            self._reject(name, "duplicate_name", detail)
            return False
        return True

    def _inspect_images(self, names: list[str]) -> list[ImageInfo | tuple[str, str]]:
        """Decode every image once: its size, or why it cannot be used."""
        paths = [self.subset.images / name for name in names]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            title = f"reading {self.subset.name} pages"
            progress = tqdm(pool.map(_inspect_image, paths), title, len(paths), disable=None)
            return list(progress)

    def _add_page(
        self, name: str, info: ImageInfo, annotated: Mapping[str, Any], has_truth: bool
    ) -> None:
        polygons = self._parse_polygons(name, annotated)
        margin = self._settings.clip_margin
        to_upright = None
        if fits_only_stored_frame(list(polygons.values()), info, margin):
            if self._settings.unrotated_polygons == "reject":
                self._reject_frame(name, info)
                if self.subset.name != "test":
                    return
                polygons, has_truth = {}, False
            else:
                to_upright = upright_matrix(info)
        rows = self._place_words(name, info, polygons, annotated, to_upright)
        self.words.extend(rows)
        self.pages.append(
            {
                "page": name,
                "subset": self.subset.name,
                "path": (self.subset.images / name).relative_to(self._folder).as_posix(),
                "width": info.width,
                "height": info.height,
                "orientation": info.orientation,
                "word_count": len(rows),
                "has_truth": has_truth,
            }
        )

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
        to_upright: Matrix | None,
    ) -> list[dict[str, Any]]:
        rows = []
        for word, polygon in polygons.items():
            try:
                placed = place_on_page(polygon, info, self._settings.clip_margin, to_upright)
            except PolygonError as error:
                self._reject(name, error.reason, str(error), word)
                continue
            transcription = annotated[word].get("transcription")
            rows.append(
                {
                    "page": name,
                    "subset": self.subset.name,
                    "word": word,
                    "polygon": placed.polygon.ravel().tolist(),
                    "transcription": transcription if isinstance(transcription, str) else None,
                    "ignored": annotated[word].get("illegibility") in (True, "true", "True"),
                    "clipped_points": placed.clipped_points,
                    "reordered": placed.is_reordered,
                }
            )
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
        row = {"subset": self.subset.name, "page": page, "word": word}
        self.rejected.append({**row, "reason": reason, "detail": detail})


def _inspect_image(path: Path) -> ImageInfo | tuple[str, str]:
    """The image's size, or the reason and the detail why it cannot be used."""
    try:
        return verify_image(path)
    except FileNotFoundError as error:
        return "image_missing", str(error)
    except ValueError as error:
        return "image_unreadable", str(error)
