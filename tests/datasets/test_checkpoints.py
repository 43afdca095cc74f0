"""Detectors and work folders as catalog entries, at local and remote addresses."""

import json
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from receipt_ocr.datasets.checkpoints import CheckpointDataset, WorkFolderDataset
from receipt_ocr.detector.checkpoint import Checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.storage.files import open_folder


@pytest.fixture
def checkpoint() -> Checkpoint:
    state = {"head.weight": torch.tensor([0.1, -3.0]), "head.count": torch.tensor(7)}
    return Checkpoint(Path("memory"), Recipe(), state, 4, [{"epoch": 4.0, "hmean": 0.1}])


@pytest.fixture
def dataset(any_address: str) -> CheckpointDataset:
    return CheckpointDataset(filepath=f"{any_address}/models/fold_0.ckpt")


def test_a_detector_returns_as_it_was_saved(
    checkpoint: Checkpoint, dataset: CheckpointDataset, any_address: str
) -> None:
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert dataset.exists()
    assert list(open_folder(any_address).stamps()) == ["models/fold_0.ckpt"]
    read = dataset.load()
    assert str(read.source) == f"{any_address}/models/fold_0.ckpt"
    assert (read.recipe, read.epoch, read.history) == (Recipe(), 4, checkpoint.history)
    assert read.fingerprint == checkpoint.fingerprint


def test_an_interruption_leaves_the_earlier_file(
    checkpoint: Checkpoint, dataset: CheckpointDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(checkpoint)

    def tear(content: object, file: Path) -> None:
        file.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", tear)
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(checkpoint)
    assert dataset.load().epoch == 4


def test_a_missing_or_foreign_file_is_named(dataset: CheckpointDataset, any_address: str) -> None:
    with pytest.raises(DatasetError, match=r"no checkpoint .*/fold_0\.ckpt; train the fold first"):
        dataset.load()
    open_folder(any_address).write({"models/fold_0.ckpt": b"essay"})
    with pytest.raises(DatasetError, match=r"space/models/fold_0\.ckpt is not a detector's"):
        dataset.load()


def test_a_preview_shows_recipe_and_figures(
    checkpoint: Checkpoint, dataset: CheckpointDataset
) -> None:
    assert dataset.preview() is None
    dataset.save(checkpoint)
    shown = json.loads(dataset.preview())
    assert (shown["epoch"], shown["hmean"]) == (4.0, 0.1)
    assert shown["recipe"]["network"]["encoder"] == Recipe().network.encoder


def test_a_work_folder_is_its_path_and_cannot_be_saved(tmp_path: Path) -> None:
    dataset = WorkFolderDataset(filepath=str(tmp_path / "fold_0"))
    assert not dataset.exists()
    assert Path(dataset.load()) == tmp_path / "fold_0"
    assert not (tmp_path / "fold_0").exists()
    with pytest.raises(DatasetError, match="None"):
        dataset.save(None)
    (tmp_path / "fold_0").mkdir()
    assert dataset.exists()


def test_a_work_folder_knows_what_its_training_led_to(any_address: str) -> None:
    root = open_folder(any_address)
    root.write({"fold_0.ckpt": b"", "output/a@flips/fold_0/map.png": b"", "output/a/map.png": b""})
    results = {
        "checkpoint": {"filepath": f"{root}/fold_0.ckpt"},
        "augmented": {"filepath": f"{root}/output", "pattern": "a@*/fold_0"},
    }
    WorkFolderDataset(filepath=f"{root}/fold_0", results=results).load().discard_results()
    assert list(root.stamps()) == ["output/a/map.png"]


def test_messages_name_the_whole_address_and_no_secret() -> None:
    dataset = WorkFolderDataset(filepath="s3://bucket/fold_0/", credentials={"secret": "xyzzy"})
    assert "s3://bucket/fold_0" in repr(dataset)
    assert "xyzzy" not in repr(dataset) + repr(dataset.load())
