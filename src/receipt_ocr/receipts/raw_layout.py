"""Where the competition's files lie in a raw folder, and what its JSON must look like."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receipt_ocr.receipts.images import find_images
from receipt_ocr.receipts.settings import SUBSETS

LAYOUT = """\
  images/train/*.jpg  jsons/train.json
  images/val/*.jpg    jsons/val.json    (both optional: the holdout)
  images/test/*.jpg   jsons/test.json   (optional: the truth of the test pages)
where a JSON reads {"images": {"page.jpg": {"words": {"0001": {"points": [[x, y], ...]}}}}}"""
"""The raw folder drawn as text, for messages."""


@dataclass(frozen=True)
class RawSubset:
    """Where the files of one subset lie."""

    name: str
    """Our name for it: ``train``, ``holdout`` or ``test``."""
    images: Path
    """The folder of its images."""
    annotations: Path | None
    """Its JSON file; None where the truth of the test pages is withheld."""

    def list_images(self) -> list[str]:
        """Names of the image files in the folder, sorted."""
        return [file.name for file in find_images(self.images)]


def find_subsets(folder: Path) -> list[RawSubset]:
    """Find the subsets of a raw folder: train, holdout where there is one, test.

    Raises:
        FileNotFoundError: If the folder, an image folder or a JSON file that must be there is
            missing.
    """
    subsets = []
    for name, raw_name in SUBSETS.items():
        images, annotations = folder / "images" / raw_name, folder / "jsons" / f"{raw_name}.json"
        if name == "holdout" and not images.exists() and not annotations.exists():
            continue
        has_annotations = annotations.is_file()
        if not images.is_dir():
            raise FileNotFoundError(_describe_gap("folder", images, folder))
        if not has_annotations and name != "test":
            raise FileNotFoundError(_describe_gap("file", annotations, folder))
        subsets.append(RawSubset(name, images, annotations if has_annotations else None))
    return subsets


def read_annotation_file(path: Path) -> dict[str, Mapping[str, Any]]:
    """Read the words of every page from a JSON file; the words themselves are not checked.

    Returns:
        Page name -> word id -> the word's entry.

    Raises:
        ValueError: If the file is no JSON, names a key twice, or has another shape.
    """
    images = _load_json(path).get("images")
    if not isinstance(images, Mapping):
        raise ValueError(_describe_shape(path, "key 'images' must be an object", images))
    if not images:
        rule = "'images' is empty, it must name one page or more"
        raise ValueError(_describe_shape(path, rule, images))
    return {name: _read_words(path, name, entry) for name, entry in images.items()}


def _read_words(path: Path, name: str, entry: Any) -> Mapping[str, Any]:
    words = entry.get("words") if isinstance(entry, Mapping) else None
    if not isinstance(words, Mapping):
        rule = f"'images' -> '{name}' must be an object with an object 'words'"
        raise ValueError(_describe_shape(path, rule, entry))
    return words


def _load_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique_keys)
    except ValueError as error:  # includes undecodable text and JSONDecodeError
        message = f"{path} is no valid JSON: {error}\nThe raw folder must hold\n{LAYOUT}"
        raise ValueError(message) from error
    if not isinstance(content, dict):
        raise ValueError(_describe_shape(path, "the top level must be an object", content))
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that occurs twice: Python's parser would silently keep only the last one."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in unique if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} occurs more than once in one object")
    return unique


def _describe_gap(kind: str, path: Path, folder: Path) -> str:
    return f"no {kind} {path}\nThe raw folder {folder} must hold\n{LAYOUT}"


def _describe_shape(path: Path, rule: str, value: Any) -> str:
    return f"{path}: {rule}, got {value!r:.80}\nThe raw folder must hold\n{LAYOUT}"
