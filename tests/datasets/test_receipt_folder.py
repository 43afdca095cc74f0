"""The raw folder: loads as a path, saves synthetic pages whole or not at all, at any address."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.receipts.annotations import read_receipts
from receipt_ocr.storage.files import Folder, open_folder
from receipt_ocr.synthesis.dataset import SyntheticPage, draw_receipts
from receipt_ocr.synthesis.settings import SynthesisSettings


def draw_few(seed: int = 1, holdout: int = 1) -> Iterator[SyntheticPage]:
    return draw_receipts(SynthesisSettings(seed=seed, train=2, holdout=holdout, test=1))


def list_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def dataset(any_address: str) -> ReceiptFolderDataset:
    return ReceiptFolderDataset(filepath=f"{any_address}/raw")


def test_saved_pages_are_read_back_by_ingestion(dataset: ReceiptFolderDataset) -> None:
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


def test_the_same_seed_writes_the_same_bytes(dataset: ReceiptFolderDataset, tmp_path: Path) -> None:
    local = ReceiptFolderDataset(filepath=str(tmp_path / "local"))
    for one in (dataset, local):
        one.save(draw_few())
    assert list_files(dataset.load()) == list_files(local.load())


def test_saving_replaces_older_synthetic_pages(
    dataset: ReceiptFolderDataset, any_address: str
) -> None:
    dataset.save(draw_few())
    dataset.save(draw_few(2, holdout=0))
    folder = dataset.load()
    assert sorted(file.name for file in (folder / "jsons").iterdir()) == ["test.json", "train.json"]
    assert not (folder / "images/val").exists()
    assert set(read_receipts(folder).pages["subset"]) == {"train", "test"}
    assert [entry.name for entry in open_folder(any_address).entries()] == ["raw"]


def test_saving_never_replaces_other_files(dataset: ReceiptFolderDataset, any_address: str) -> None:
    folder = open_folder(any_address)
    folder.write({"raw/jsons/train.json": b"{}"})
    with pytest.raises(DatasetError, match="space/raw holds something that is not synthetic"):
        dataset.save(draw_few())
    assert list(folder.stamps()) == ["raw/jsons/train.json"]
    (folder / "raw").remove()
    folder.write({"raw": b"a file"})
    with pytest.raises(DatasetError, match="raw"):
        dataset.save(draw_few())
    assert folder.read("raw") == b"a file"


def test_a_drawing_that_breaks_off_leaves_the_older_folder(dataset: ReceiptFolderDataset) -> None:
    def break_off() -> Iterator[SyntheticPage]:
        yield next(draw_few(seed=2))
        raise RuntimeError("the power failed")

    dataset.save(draw_few())
    before = list_files(dataset.load())
    with pytest.raises(DatasetError, match="the power failed"):
        dataset.save(break_off())
    assert list_files(dataset.load()) == before


def test_a_folder_that_was_written_in_half_is_refused_until_it_is_drawn_anew(
    dataset: ReceiptFolderDataset, any_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(draw_few())
    write = Folder.write

    def tear(self: Folder, contents: dict[str, bytes]) -> None:
        if len(contents) > 1:
            write(self, dict(list(contents.items())[:2]))
            raise OSError("connection lost")
        write(self, contents)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", tear)
        with pytest.raises(DatasetError, match="connection lost"):
            dataset.save(draw_few(2))
    with pytest.raises(DatasetError, match=r"images/train|train\.json") as caught:
        dataset.load()
    is_remote = "://" in any_address
    assert (f"is a copy of {any_address}/raw" in str(caught.value)) == is_remote
    dataset.save(draw_few(3))
    assert (dataset.load() / "jsons/train.json").is_file()


def test_saved_annotations_are_the_competitions_json(dataset: ReceiptFolderDataset) -> None:
    dataset.save(draw_few())
    raw = dataset.load()
    images = json.loads((raw / "jsons/test.json").read_text(encoding="utf-8"))["images"]
    [(name, entry)] = images.items()
    [page] = [page for page in draw_few() if page.subset == "test"]
    assert name == page.name
    assert entry == {"img_w": page.width, "img_h": page.height, "words": page.words}
    assert (raw / "images/test" / name).read_bytes() == page.jpeg


def test_a_missing_folder_says_what_to_do(dataset: ReceiptFolderDataset) -> None:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    message = str(caught.value)
    for part in ("raw", "images/train", "jsons/train.json", "--pipeline=synthesis"):
        assert part in message
