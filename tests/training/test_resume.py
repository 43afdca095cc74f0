"""Interruptions change nothing, and a folder belongs to one training."""

import json
import shutil

import pytest
import torch

from receipt_ocr.detector.checkpoint import read_checkpoint
from receipt_ocr.receipts.settings import FrameSettings
from receipt_ocr.storage.files import open_folder
from receipt_ocr.training.loop import train_detector
from receipt_ocr.training.resume import hold_folder
from receipt_ocr.training.work_folder import WorkFolder
from tests.training.small_training import (
    SmallTraining,
    assert_same_weights,
    change,
    fake_scores,
    learnt,
    lost_after,
    lost_in,
)


def test_an_interrupted_and_resumed_training_equals_an_unbroken_one(train: SmallTraining) -> None:
    train.recipe = change(train.recipe, epochs=3, schedule="one_cycle", learning_rate=0.01)
    whole = train("whole")
    with lost_in(epoch=2):
        train("broken")
    # The folder may have been copied to another machine meanwhile.
    shutil.move(train.parent / "broken", train.parent / "moved")
    resumed = train("moved")
    assert learnt(resumed) == learnt(whole)
    folders = train.parent / "moved", train.parent / "whole"
    assert resumed.checkpoint == folders[0] / whole.checkpoint.name
    assert_same_weights(*(folder / "last.ckpt" for folder in folders))
    moved, unbroken = (sorted(f.name for f in folder.iterdir()) for folder in folders)
    assert moved == unbroken


def test_a_moving_average_is_validated_kept_and_resumed(train: SmallTraining) -> None:
    train.recipe = change(train.recipe, epochs=3, ema_decay=0.5, learning_rate=0.01)
    result = train("whole")
    state = torch.load(train.parent / "whole" / "last.ckpt", weights_only=True)
    kept = read_checkpoint(result.checkpoint)
    assert kept.epoch == result.best_epoch
    name = "head.probability.0.weight"
    average, current = (state[k][f"network.{name}"] for k in ("state_dict", "current_model_state"))
    assert not torch.equal(average, current)
    if result.best_epoch == 2:
        assert torch.equal(kept.state[name], average)
    with lost_in(epoch=2):
        train("broken")
    assert learnt(train("broken")) == learnt(result)
    again = torch.load(train.parent / "broken" / "last.ckpt", weights_only=True)
    for part in ("state_dict", "current_model_state"):
        for key, value in state[part].items():
            assert torch.equal(value, again[part][key]), key


def test_patience_counts_from_the_final_size_on_and_survives_an_interruption(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The final size comes at epoch 2; the best epoch before it starts no count.
    frame = FrameSettings(sizes={0: 64, 2: 96})
    train.recipe = change(train.recipe, epochs=9, patience=2).model_copy(update={"frame": frame})
    fake_scores(monkeypatch, [0.9, 0.5, 0.5, 0.625, 0.5, 0.5, 1.0, 1.0, 1.0])
    with lost_after(epoch=4):
        train()
    result = train()
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3, 4, 5]
    assert (result.best_epoch, result.stopped_by) == (0, "patience of 2 epochs")
    # Killed between the last epoch and the note that the training is finished:
    (result.checkpoint.parent / "finished.json").unlink()
    assert train() == result


def test_files_of_earlier_versions_without_costs_are_read(train: SmallTraining) -> None:
    with lost_after(epoch=0):
        train()
    folder = train.parent / "fold_0"
    state = torch.load(folder / "last.ckpt", weights_only=True)
    assert state.pop("costs").keys() == {"inference_seconds_per_page", "peak_memory_mib"}
    torch.save(state, folder / "last.ckpt")
    settings = json.loads((folder / "settings.json").read_text())
    settings["recipe"]["training"].pop("ema_decay")  # it came later; its default trains the same
    (folder / "settings.json").write_text(json.dumps(settings))
    result = train()
    note = json.loads((folder / "finished.json").read_text())
    for name in ("inference_seconds_per_page", "peak_memory_mib"):
        assert note.pop(name) > 0
    (folder / "finished.json").write_text(json.dumps(note))
    again = train()
    assert (again.history, again.peak_memory_mib) == (result.history, None)


def test_a_finished_training_is_not_repeated(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(epochs=1)
    monkeypatch.setattr("receipt_ocr.training.loop.DetectorModule", None)  # training would need it
    assert train(epochs=1) == first
    # What does not change the result may change.
    assert train(epochs=1, workers=3, threads=2, kept_checkpoints=1) == first
    (train.parent / "fold_0").rename(train.parent / "elsewhere")
    moved = train("elsewhere", epochs=1)
    assert moved.checkpoint == train.parent / "elsewhere" / first.checkpoint.name
    moved.checkpoint.unlink()
    with pytest.raises(FileNotFoundError, match=r"epoch=00.* is gone.*resume=false"):
        train("elsewhere", epochs=1)


def test_other_settings_or_pages_in_the_folder_are_named(train: SmallTraining) -> None:
    with lost_in(epoch=1):
        train()
    message = r"recipe\.training\.learning_rate was 0\.00045, now 0\.01.*resume=false"
    with pytest.raises(ValueError, match=message):
        train(learning_rate=0.01)
    other_pages = r"first difference: training_pages was"
    whole, train.training = train.training, train.training[1:]
    with pytest.raises(ValueError, match=other_pages):
        train()
    train.training = whole
    train.training[0].polygons[0][0, 0] += 1
    with pytest.raises(ValueError, match=other_pages):
        train()
    train.training[0].polygons[0][0, 0] -= 1
    with train.validation[1].path.open("ab") as image:
        image.write(b"another photo")
    with pytest.raises(ValueError, match=r"first difference: validation_pages was"):
        train()


def test_a_failed_first_attempt_does_not_stand_in_the_way_of_the_next(train: SmallTraining) -> None:
    right = train.recipe = change(train.recipe, epochs=1)
    missing = {"pretrained": True, "encoder_weights": str(train.parent / "missing.pth")}
    network = right.network.model_copy(update=missing)
    train.recipe = right.model_copy(update={"network": network})
    with pytest.raises(FileNotFoundError, match=r"missing\.pth"):
        train()
    assert not (train.parent / "fold_0").exists()
    train.recipe = right
    message = r"became nan in epoch 0; lower training\.learning_rate \(1e\+30\)"
    with pytest.raises(ValueError, match=message):
        train(learning_rate=1e30)
    assert len(train().history) == 1


def test_starting_over_deletes_the_earlier_training_but_no_other_folder(
    train: SmallTraining,
) -> None:
    folder, maps = train.parent / "fold_0", train.parent / "maps"
    maps.mkdir()
    work = WorkFolder(folder, results=[(open_folder(maps), "")])
    short = change(train.recipe, epochs=1)
    over = change(short, learning_rate=0.01, resume=False)
    pages = (train.training, train.validation)
    train(epochs=1)
    train_detector(short, *pages, work)
    assert maps.exists()  # nothing was trained anew
    message = r"another process is training in .*fold_0"
    with hold_folder(folder), pytest.raises(ValueError, match=message):
        train_detector(over, *pages, work)
    assert maps.exists()
    result = train_detector(over, *pages, work)
    assert not maps.exists()
    assert len(result.history) == 1
    assert len(list(folder.glob("epoch=*.ckpt"))) == 1
    photos = train.training[0].path.parent
    with pytest.raises(ValueError, match=r"something else than a training"):
        train_detector(over, *pages, photos)
    assert train.training[0].path.is_file()


def test_starting_over_deletes_nothing_unless_the_new_training_can_start(
    train: SmallTraining,
) -> None:
    first = train(epochs=1)
    folder = first.checkpoint.parent
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    # A Mac's accelerator on a machine that is none, or a GPU on one without.
    other = "cuda" if torch.backends.mps.is_available() else "mps"
    message = rf"'{other}' with training\.devices 1 .* this machine \(.+\); set .* auto or cpu"
    with pytest.raises(ValueError, match=message):
        train(epochs=1, accelerator=other, resume=False)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert train(epochs=1) == first
