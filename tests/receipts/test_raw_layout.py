"""The raw folder: which parts must be there, and what its JSON files must look like."""

import json
from pathlib import Path

import pytest

from receipt_ocr.receipts.raw_layout import find_subsets, read_annotation_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Train and test, without the truth of the test."""
    for part in ("images/train", "images/test", "jsons"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "jsons/train.json").touch()
    return tmp_path


def test_holdout_and_the_truth_of_the_test_are_optional(folder: Path) -> None:
    train, test = find_subsets(folder)
    assert (train.name, train.annotations) == ("train", folder / "jsons/train.json")
    assert (test.name, test.annotations) == ("test", None)
    (folder / "images/val").mkdir()
    with pytest.raises(FileNotFoundError, match=r"jsons/val\.json"):
        find_subsets(folder)
    (folder / "jsons/val.json").touch()
    assert [subset.name for subset in find_subsets(folder)] == ["train", "holdout", "test"]


@pytest.mark.parametrize("gap", ["images/train", "images/test", "jsons/train.json", "."])
def test_a_missing_part_is_named_with_the_layout(folder: Path, gap: str) -> None:
    (folder / gap).resolve().rename(folder.with_name(f"{folder.name}_elsewhere"))
    with pytest.raises(FileNotFoundError, match=rf"no \w+ .*{gap}(?s:.*)images/train/\*\.jpg"):
        find_subsets(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"top level must be an object, got \[\]"),
        ({}, "'images' must be an object, got None"),
        ({"images": []}, r"'images' must be an object, got \[\]"),
        ({"images": {}}, "'images' is empty"),
        ({"images": {"a.jpg": []}}, "'a.jpg' must be an object with an object 'words'"),
        ({"images": {"a.jpg": {}}}, "'a.jpg' must be an object with an object 'words'"),
        ({"images": {"a.jpg": {"words": [1]}}}, "'a.jpg' must be .* 'words'"),
    ],
)
def test_a_json_of_another_shape_is_named(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"train\.json: .*{message}"):
        read_annotation_file(file)


TWICE = '{"images": {"a.jpg": {"words": {}}, "a.jpg": {"words": {}}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [("", ""), ("{", ""), ("\x00", ""), (TWICE, r".*key 'a\.jpg' occurs more than once")],
)
def test_text_that_is_no_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "train.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"train\.json is no valid JSON{message}"):
        read_annotation_file(file)
