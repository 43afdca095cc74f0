"""Datasets of `kedro_datasets` with previews that Kedro-Viz can show, whatever they hold.

They load and save as the originals do. The originals have no preview (pictures, text), fail on
lists in a table's cells (words), or send megabytes of coordinates to the browser (submissions).
A preview is asked for when somebody clicks on a dataset; None, where there is no file yet, shows
an empty panel. Kedro-Viz chooses how to draw one by the name of the type in the return annotation.
"""

import base64
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any, NewType

import kedro_datasets.json
import kedro_datasets.pandas
import kedro_datasets.pillow
import kedro_datasets.text
from kedro_datasets._typing import ImagePreview, JSONPreview, TablePreview

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

__all__ = [
    "CSVDataset",
    "ImageDataset",
    "ImagePreview",
    "JSONDataset",
    "JSONPreview",
    "ParquetDataset",
    "TablePreview",
    "TextDataset",
    "TextPreview",
    "encode_picture",
    "preview_json",
    "preview_table",
]

TextPreview = NewType("TextPreview", str)
"""Shown as it is, in letters of one width."""

SIDE = 800
"""Pixels of a picture's longer side in a preview; the panel is 400 wide, twice that enlarged."""

CELL = 60
"""Most characters shown of a table's cell."""


class CSVDataset(kedro_datasets.pandas.CSVDataset):  # type: ignore[misc]
    """A CSV table; the preview cuts long cells."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, or None."""
        beginning = self._copy(_load_args={**self._load_args, "nrows": nrows})
        return preview_table(beginning.load()) if self.exists() else None


class ParquetDataset(kedro_datasets.pandas.ParquetDataset):  # type: ignore[misc]
    """A Parquet table; the preview writes lists as text and cuts long cells."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, or None."""
        return preview_table(self.load().head(nrows)) if self.exists() else None


class JSONDataset(kedro_datasets.json.JSONDataset):  # type: ignore[misc]
    """A JSON file; the preview shows the first entries of each object and list."""

    def preview(self, entries: int = 10) -> JSONPreview:
        """The beginning of the content, or None."""
        return preview_json(self.load(), entries) if self.exists() else None


class ImageDataset(kedro_datasets.pillow.ImageDataset):  # type: ignore[misc]
    """A picture; the preview is a smaller copy."""

    def preview(self) -> ImagePreview:
        """The picture, or None."""
        return encode_picture(self.load()) if self.exists() else None


class TextDataset(kedro_datasets.text.TextDataset):  # type: ignore[misc]
    """A text, such as a report in Markdown, shown as it is."""

    def preview(self, characters: int = 20_000) -> TextPreview:
        """The beginning of the text, or none."""
        return TextPreview(self.load()[:characters] if self.exists() else "")


def preview_table(table: "pd.DataFrame") -> TablePreview:
    """Convert a table for Kedro-Viz, each cell to a number or a text of at most :data:`CELL`."""
    return TablePreview(table.map(_shorten_cell).to_dict(orient="split"))


def preview_json(content: Any, entries: int) -> JSONPreview:
    """Convert JSON for Kedro-Viz: the first entries of each object and list, and how many more."""
    return JSONPreview(json.dumps(_shorten_tree(content, entries), ensure_ascii=False))


def encode_picture(picture: "Image", side: int = SIDE) -> ImagePreview:
    """Encode a picture for Kedro-Viz, in base64, its longer side at most ``side`` pixels."""
    from PIL.Image import Resampling

    small = picture.convert("L" if picture.mode == "L" else "RGB")
    small.thumbnail((side, side), Resampling.BOX)
    content = BytesIO()
    small.save(content, format="jpeg", quality=80)
    return ImagePreview(base64.b64encode(content.getvalue()).decode())


def _shorten_cell(value: Any) -> Any:
    if hasattr(value, "tolist"):  # an array of NumPy, or one of its numbers
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def _shorten_tree(value: Any, entries: int) -> Any:
    left_out = len(value) - entries if isinstance(value, (dict, list)) else 0
    if isinstance(value, dict):
        kept = {key: _shorten_tree(value[key], entries) for key in list(value)[:entries]}
        return {**kept, "…": f"{left_out} more"} if left_out > 0 else kept
    if isinstance(value, list):
        rows = [_shorten_tree(entry, entries) for entry in value[:entries]]
        return [*rows, f"… {left_out} more"] if left_out > 0 else rows
    return value
