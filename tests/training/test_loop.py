"""A training from pages to files: what it leaves, shows and refuses."""

import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger
from torch.multiprocessing.spawn import ProcessRaisedException

from receipt_ocr.detector.checkpoint import read_checkpoint
from tests.training.small_training import (
    MachineLostError,
    SmallTraining,
    assert_same_weights,
    fake_scores,
    learnt,
    lost_in,
)


def test_a_training_leaves_history_best_checkpoints_and_a_result(
    train: SmallTraining, caplog: pytest.LogCaptureFixture
) -> None:
    logger = CSVLogger(train.parent / "figures")
    with caplog.at_level(logging.INFO, logger="receipt_ocr"):
        result = train("fold_0", logger)
    assert [(row["epoch"], row["size"]) for row in result.history] == [(0, 64), (1, 96)]
    assert set(result.history[0]) == {
        *("epoch", "size", "learning_rate", "skipped_steps", "precision", "recall", "hmean"),
        *("loss", "loss_shrink", "loss_threshold", "loss_binary", "seconds"),
    }
    assert all(row["seconds"] > 0 for row in result.history)
    row = result.history[1]
    weighted = 5 * row["loss_shrink"] + 10 * row["loss_threshold"] + row["loss_binary"]
    assert row["loss"] == pytest.approx(weighted, rel=1e-5)
    assert result.stopped_by == "2 epochs"
    assert result.best_hmean == max(row["hmean"] for row in result.history)
    assert re.fullmatch(r"epoch=0[01]-hmean=[01]\.\d{4}\.ckpt", result.checkpoint.name)
    assert read_checkpoint(result.checkpoint).epoch == result.best_epoch
    assert 0 < (result.inference_seconds_per_page or 0) < row["seconds"]
    assert 100 < (result.peak_memory_mib or 0) < 100_000  # torch alone takes more than 100
    notes = [f.name for f in (train.parent / "fold_0").iterdir() if f.suffix != ".ckpt"]
    assert sorted(notes) == ["finished.json", "settings.json"]
    first, last = (m for m in caplog.messages if m.startswith("Epoch"))
    figures = r"loss \d+\.\d{4}, precision .*, H-mean .*, \d+ s"
    assert re.fullmatch(rf"Epoch 0/1: size 64, {figures}, at most \d+ s to go", first)
    assert re.fullmatch(rf"Epoch 1/1: size 96, {figures}", last)
    logged = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    assert {"hmean", "precision", "recall", "train_loss"} <= set(logged[0].split(","))


def test_the_best_epochs_and_the_last_are_kept(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_scores(monkeypatch, [0.5, 0.25, 0.75, 0.75, 0.125])
    result = train(epochs=5, kept_checkpoints=2)
    # Of two equal epochs the earlier is the best.
    assert (result.best_epoch, result.best_hmean) == (2, 0.75)
    folder = result.checkpoint.parent
    best = ["epoch=02-hmean=0.7500.ckpt", "epoch=03-hmean=0.7500.ckpt"]
    assert sorted(f.name for f in folder.glob("*.ckpt")) == [*best, "last.ckpt"]
    assert read_checkpoint(folder / "last.ckpt").epoch == 4


def test_a_training_without_validation_ends_after_its_epochs_with_the_last_one(
    train: SmallTraining,
) -> None:
    train.validation = []
    settings = {"epochs": 3, "patience": 1, "kept_checkpoints": 2}
    result = train(**settings)
    assert (result.best_epoch, result.best_hmean, result.stopped_by) == (2, None, "3 epochs")
    assert result.inference_seconds_per_page is None
    assert "hmean" not in result.history[0]
    folder = result.checkpoint.parent
    kept = ["epoch=01.ckpt", "epoch=02.ckpt", "last.ckpt"]
    assert sorted(file.name for file in folder.glob("*.ckpt")) == kept
    assert_same_weights(result.checkpoint, folder / "last.ckpt")
    assert train(**settings) == result


def test_an_image_that_is_missing_is_named_when_it_is_read(train: SmallTraining) -> None:
    train.training[0].path.unlink()
    with pytest.raises(FileNotFoundError, match=r"train_0\.png"):
        train()


def test_pages_must_stand_on_one_side_and_every_process_needs_some(train: SmallTraining) -> None:
    with pytest.raises(ValueError, match=r"num_nodes is 3, but there are only 2 pages on one side"):
        train(devices=3)
    train.validation = train.training[:1]
    with pytest.raises(ValueError, match=r"'train_0\.png' would be trained on and validated on"):
        train()
    train.training = []
    with pytest.raises(ValueError, match=r"needs pages to learn from, got none"):
        train()
    assert not (train.parent / "fold_0").exists()


def test_a_training_and_its_resumption_are_quiet(
    train: SmallTraining, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    with lost_in(epoch=1):
        train()
    train()
    assert [str(w.message) for w in recwarn] == []
    assert "it/s" not in capfd.readouterr().out  # no progress bar without a terminal


def test_a_terminal_shows_a_bar_with_loss_and_hmean(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    train("fold_0", CSVLogger(train.parent / "figures"))
    shown = capsys.readouterr().out
    assert re.search(r"Epoch 1: .*loss=.*hmean=", shown)
    assert re.search(r"to go=\d+ s", shown)
    assert "v_num" not in shown


def test_devices_machines_and_strategy_reach_the_trainer(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def note(**options: Any) -> None:
        asked.append(options)
        raise MachineLostError

    monkeypatch.setattr("receipt_ocr.training.loop.lightning.Trainer", note)
    torchrun = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2"}
    choices: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"devices": 2}, {}),
        ({"num_nodes": 2, "sync_batchnorm": True}, torchrun),
        ({"precision": "bf16-mixed", "accumulate": 4}, {}),
    ]
    for choice, variables in choices:
        with monkeypatch.context() as patch, pytest.raises(MachineLostError):
            for name, value in variables.items():
                patch.setenv(name, value)
            train(**choice)
    assert not (train.parent / "fold_0").exists()
    names = ("devices", "num_nodes", "strategy", "sync_batchnorm", "precision")
    names += ("accumulate_grad_batches",)
    assert [tuple(options[name] for name in names) for options in asked] == [
        (2, 1, "ddp_spawn", False, "32-true", 1),
        (1, 2, "ddp", True, "32-true", 1),
        (1, 1, "auto", False, "bf16-mixed", 4),
    ]
    # Without a launcher, a SLURM job around is not waited for.
    assert [options["plugins"] is None for options in asked] == [False, True, False]
    # Batches and pages are dealt by our loaders: Lightning must not deal them again.
    assert not any(options["use_distributed_sampler"] for options in asked)


def test_half_precision_trains_validates_and_resumes(train: SmallTraining) -> None:
    half = {"precision": "bf16-mixed", "learning_rate": 0.01}
    whole = train("whole", **half)
    with lost_in(epoch=1):
        train("broken", **half)
    assert learnt(train("broken", **half)) == learnt(whole)
    full = train("full", learning_rate=0.01)
    assert full.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], rel=0.02)
    assert full.history[0]["loss"] != whole.history[0]["loss"]


def test_the_error_of_a_spawned_process_is_told_in_its_own_words(
    train: SmallTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ProcessRaisedException(f"\n-- Process 1 ...\n{words}\n", 1, 4711)

    monkeypatch.setattr("receipt_ocr.training.loop.lightning.Trainer.fit", fail)
    words = "Traceback ...\nValueError: the loss was not finite (pages a.png)"
    with pytest.raises(ValueError, match=r"^the loss was not finite \(pages a\.png\)$"):
        train()
    words = "Traceback ...\nKeyError: 'a bug'"
    with pytest.raises(ProcessRaisedException, match="a bug"):
        train()
