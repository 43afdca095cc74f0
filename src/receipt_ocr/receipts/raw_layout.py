"""Where the competition's files lie in a raw folder, and what its JSON must look like."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from receipt_ocr.receipts.images import IMAGE_SUFFIXES
from receipt_ocr.receipts.settings import SUBSETS

__all__ = ["LAYOUT", "RawSubset", "find_subsets", "read_annotation_file"]

LAYOUT = """\
  images/train/*.jpg  jsons/train.json
  images/val/*.jpg    jsons/val.json    (both optional: the holdout)
  images/test/*.jpg   jsons/test.json   (optional: the truth of the test pages)
where a JSON reads {"images": {"page.jpg": {"words": {"0001": {"points": [[x, y], ...]}}}}}"""
"""The raw folder as text, for messages."""


@dataclass(frozen=True)
class RawSubset:
    """The files of one subset.

    ``images`` is its folder, ``annotations`` its JSON file or None, ``name`` our name for it.
    """

    name: str
    images: Path
    annotations: Path | None

    def list_images(self) -> list[str]:
        """Names of the image files in the folder, sorted."""
        return sorted(
            file.name for file in self.images.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES
        )


def find_subsets(folder: Path) -> list[RawSubset]:
    """The subsets of a raw folder: train, holdout where there is one, test.

    Raises:
        FileNotFoundError: If the folder, an image folder or a JSON file that must be there is
            missing.
    """
    subsets = []
    for name, raw_name in SUBSETS.items():
        images, annotations = folder / "images" / raw_name, folder / "jsons" / f"{raw_name}.json"
        if name == "holdout" and not images.exists() and not annotations.exists():
            continue
        is_truth_optional = name == "test"
        if not images.is_dir():
            raise FileNotFoundError(_describe_gap("folder", images, folder))
        if not annotations.is_file() and not is_truth_optional:
            raise FileNotFoundError(_describe_gap("file", annotations, folder))
        subsets.append(RawSubset(name, images, annotations if annotations.is_file() else None))
    return subsets


def read_annotation_file(path: Path) -> dict[str, Mapping[str, Any]]:
    """The words of every page in a JSON file, unchecked.

    Returns:
        Page name -> word id -> whatever the file says of the word.

    Raises:
        ValueError: If the file is no JSON, names a key twice, or has another shape.
    """
    images = _load_json(path).get("images")
    if not isinstance(images, Mapping):
        raise ValueError(_describe_shape(path, "key 'images' must be an object", images))
    if not images:
        raise ValueError(
            _describe_shape(path, "'images' is empty, it must name one page or more", images)
        )
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
    """A JSON object as a dict; Python's parser would silently drop all but the last of a key."""
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
