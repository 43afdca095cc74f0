"""Detectors and work folders as catalog entries."""

import json
from pathlib import Path

import fsspec
import pytest
import torch
from kedro.io import DatasetError

from receipt_ocr.datasets.checkpoints import CheckpointDataset, WorkFolderDataset
from receipt_ocr.detector.checkpoint import Checkpoint
from receipt_ocr.detector.settings import Recipe


@pytest.fixture
def checkpoint() -> Checkpoint:
    state = {"head.weight": torch.tensor([0.1, -3.0]), "head.count": torch.tensor(7)}
    return Checkpoint(Path("memory"), Recipe(), state, 4, [{"epoch": 4.0, "hmean": 0.1}])


def test_a_detector_returns_as_it_was_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    file = tmp_path / "models" / "fold_0.ckpt"
    dataset = CheckpointDataset(filepath=str(file))
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert dataset.exists()
    read = dataset.load()
    assert (read.source, read.recipe, read.epoch) == (file, Recipe(), 4)
    assert read.history == checkpoint.history
    for name, value in checkpoint.state.items():
        assert torch.equal(read.state[name], value)
        assert read.state[name].dtype == value.dtype


def test_an_interruption_leaves_the_earlier_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = CheckpointDataset(filepath=str(tmp_path / "fold_0.ckpt"))
    dataset.save(checkpoint)

    def tear(content: object, file: Path) -> None:
        file.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", tear)
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(checkpoint)
    assert dataset.load().epoch == 4


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "fold_0.ckpt"
    with pytest.raises(DatasetError, match=r"no checkpoint .*fold_0\.ckpt; train the fold first"):
        CheckpointDataset(filepath=str(file)).load()
    file.write_text("essay")
    with pytest.raises(DatasetError, match=r"fold_0\.ckpt is not a detector's checkpoint"):
        CheckpointDataset(filepath=str(file)).load()


def test_a_work_folder_is_its_path_and_cannot_be_saved(tmp_path: Path) -> None:
    dataset = WorkFolderDataset(filepath=str(tmp_path / "fold_0"))
    assert not dataset.exists()
    folder = dataset.load()
    assert folder.path == Path(folder) == tmp_path / "fold_0"
    assert folder.name == "fold_0"
    assert not (tmp_path / "fold_0").exists()
    with pytest.raises(DatasetError, match="None"):
        dataset.save(None)
    (tmp_path / "fold_0").mkdir()
    assert dataset.exists()


def test_a_work_folder_knows_what_its_training_led_to(tmp_path: Path) -> None:
    names = {"checkpoint": "fold_0.ckpt", "maps": "output/fold_0", "history": "not there"}
    results = {name: {"filepath": str(tmp_path / path)} for name, path in names.items()}
    other = tmp_path / "output/fold_1/map.png"
    for file in (tmp_path / "fold_0.ckpt", tmp_path / "output/fold_0/map.png", other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("old")
    WorkFolderDataset(filepath=str(tmp_path / "fold_0"), results=results).load().discard_results()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [other]


def test_results_at_an_address_are_removed_there() -> None:
    fs = fsspec.filesystem("memory")
    for name in ("models/fold_0.ckpt", "output/fold_0/maps/a.png", "output/fold_1/maps/a.png"):
        fs.pipe_file(f"/started_over/{name}", b"old")
    root = "memory://started_over"
    paths = (f"{root}/models/fold_0.ckpt", f"{root}/output/fold_0", f"{root}/nothing")
    results = {path: {"filepath": path} for path in paths}
    folder = WorkFolderDataset(filepath=f"{root}/models/fold_0", results=results).load()
    folder.discard_results()
    folder.discard_results()  # what is gone is no error
    assert fs.find("/started_over") == ["/started_over/output/fold_1/maps/a.png"]


def test_a_preview_shows_recipe_and_figures(checkpoint: Checkpoint, tmp_path: Path) -> None:
    dataset = CheckpointDataset(filepath=str(tmp_path / "fold_0.ckpt"))
    assert dataset.preview() is None
    dataset.save(checkpoint)
    shown = json.loads(dataset.preview())
    assert (shown["epoch"], shown["hmean"]) == (4.0, 0.1)
    assert shown["recipe"]["network"]["encoder"] == Recipe().network.encoder
