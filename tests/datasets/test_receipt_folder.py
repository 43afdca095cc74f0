"""The raw folder: loads as a path, saves synthetic pages whole or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.receipts.annotations import read_receipts
from receipt_ocr.synthesis.dataset import SyntheticPage, draw_receipts
from receipt_ocr.synthesis.settings import SynthesisSettings


def draw_few(seed: int = 1) -> Iterator[SyntheticPage]:
    return draw_receipts(SynthesisSettings(seed=seed, train=2, holdout=1, test=1))


def list_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_saved_pages_are_read_back_by_ingestion(tmp_path: Path) -> None:
    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "raw"))
    assert not dataset.exists()
    dataset.save(draw_few())
    assert dataset.exists()
    receipts = read_receipts(dataset.load())
    assert receipts.pages["subset"].tolist() == ["train", "train", "holdout", "test"]
    assert receipts.pages["has_truth"].all()
    assert receipts.rejected.empty
    written = {page.name: page for page in draw_few()}
    for page, words in receipts.words.groupby("page"):
        expected = [np.ravel(word["points"]).tolist() for word in written[page].words.values()]
        assert words["polygon"].tolist() == expected
    sizes = {row.page: (row.width, row.height) for row in receipts.pages.itertuples()}
    assert sizes == {name: (page.width, page.height) for name, page in written.items()}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ReceiptFolderDataset(filepath=str(tmp_path / name)).save(draw_few())
    assert list_files(tmp_path / "a") == list_files(tmp_path / "b")


def test_without_holdout_pages_there_is_no_holdout(tmp_path: Path) -> None:
    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "raw"))
    dataset.save([page for page in draw_few() if page.subset != "holdout"])
    assert sorted(file.name for file in (tmp_path / "raw/jsons").iterdir()) == [
        "test.json",
        "train.json",
    ]
    assert set(read_receipts(dataset.load()).pages["subset"]) == {"train", "test"}


def test_saving_replaces_older_synthetic_pages(tmp_path: Path) -> None:
    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "raw"))
    dataset.save(draw_few())
    dataset.save([page for page in draw_few() if page.subset != "holdout"])
    assert not (tmp_path / "raw/jsons/val.json").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["raw"]


def test_saving_never_replaces_other_files(tmp_path: Path) -> None:
    (tmp_path / "raw/jsons").mkdir(parents=True)
    (tmp_path / "raw/jsons/train.json").write_text("{}")
    with pytest.raises(DatasetError, match="holds something that is not synthetic"):
        ReceiptFolderDataset(filepath=str(tmp_path / "raw")).save(draw_few())
    assert list_files(tmp_path) == {"raw/jsons/train.json": b"{}"}


def test_a_save_that_breaks_off_leaves_the_older_folder(tmp_path: Path) -> None:
    def break_off() -> Iterator[SyntheticPage]:
        yield next(draw_few(seed=2))
        raise RuntimeError("the power failed")

    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "raw"))
    dataset.save(draw_few())
    before = list_files(tmp_path / "raw")
    with pytest.raises(DatasetError, match="the power failed"):
        dataset.save(break_off())
    assert list_files(dataset.load()) == before
    dataset.save(draw_few(seed=3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["raw"]


def test_saved_annotations_are_the_competitions_json(tmp_path: Path) -> None:
    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "raw"))
    dataset.save(draw_few())
    images = json.loads((tmp_path / "raw/jsons/test.json").read_text(encoding="utf-8"))["images"]
    [(name, entry)] = images.items()
    [page] = [page for page in draw_few() if page.subset == "test"]
    assert name == page.name
    assert entry == {"img_w": page.width, "img_h": page.height, "words": page.words}
    assert (tmp_path / "raw/images/test" / name).read_bytes() == page.jpeg


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    dataset = ReceiptFolderDataset(filepath=str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    message = str(caught.value)
    for part in ("nowhere", "images/train", "jsons/train.json", "--pipeline=synthesis"):
        assert part in message
