"""A training from pages to files: what it leaves, and that interruptions change nothing."""

import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch.multiprocessing.spawn import ProcessRaisedException

from receipt_ocr.detector.checkpoint import read_checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.receipts.settings import FrameSettings
from receipt_ocr.storage.files import open_folder
from receipt_ocr.training.epoch_files import hold_folder
from receipt_ocr.training.loop import TrainingResult, train_detector
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.work_folder import WorkFolder

Pages = list[LabelledPage]


class MachineLostError(Exception):
    """Stands for a machine that is taken away."""


def changed(recipe: Recipe, **training: Any) -> Recipe:
    settings = recipe.training.model_copy(update=training)
    return recipe.model_copy(update={"training": settings})


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(folder / "last.ckpt").state


def learnt(result: TrainingResult) -> list[dict[str, float]]:
    """The history without the seconds that the epochs took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]


def fake_scores(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the epochs' H-means be these."""

    def append_row(self: DetectorModule) -> None:
        self.score = dict.fromkeys(("hmean", "precision", "recall"), values[self.current_epoch])

    monkeypatch.setattr(DetectorModule, "on_validation_epoch_end", append_row)


def interrupt_in(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Break off in the middle of an epoch, after its first step."""
    step = DetectorModule.training_step

    def breaking(self: DetectorModule, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == epoch and index == 1:
            raise MachineLostError
        return step(self, batch, index)

    monkeypatch.setattr(DetectorModule, "training_step", breaking)


def test_a_training_leaves_history_best_checkpoints_and_a_result(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "fold_0"
    logger = CSVLogger(tmp_path / "figures")
    with caplog.at_level(logging.INFO, logger="receipt_ocr"):
        result = train_detector(recipe, training_pages, validation_pages, folder, logger)
    assert [row["epoch"] for row in result.history] == [0.0, 1.0]
    assert [row["size"] for row in result.history] == [64.0, 96.0]
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
    assert sorted(f.name for f in folder.iterdir() if f.suffix != ".ckpt") == [
        "finished.json",
        "settings.json",
    ]
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Epoch")]
    assert re.match(
        r"Epoch 1/1: size 96, loss \d+\.\d{4}, precision .*, H-mean .*, \d+ s$", lines[1]
    )
    assert re.search(r"\d+ s, at most \d+ s to go$", lines[0])
    assert len(lines) == 2
    logged = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    assert {"hmean", "precision", "recall", "train_loss"} <= set(logged[0].split(","))


def test_a_finished_training_is_not_repeated(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "fold_0"
    short = changed(recipe, epochs=1)
    first = train_detector(short, training_pages, validation_pages, folder)
    interrupt_in(monkeypatch, epoch=0)  # training anything would raise
    assert train_detector(short, training_pages, validation_pages, folder) == first
    # What does not change the result may change.
    other_machine = changed(short, workers=3, threads=2, kept_checkpoints=1)
    assert train_detector(other_machine, training_pages, validation_pages, folder) == first
    moved = folder.rename(tmp_path / "elsewhere")
    again = train_detector(short, training_pages, validation_pages, moved)
    assert again.checkpoint == moved / first.checkpoint.name
    again.checkpoint.unlink()
    with pytest.raises(FileNotFoundError, match=r"epoch=00.* is gone.*resume=false"):
        train_detector(short, training_pages, validation_pages, moved)


def test_other_settings_or_pages_in_the_folder_are_named(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_in(monkeypatch, epoch=1)
    folder = tmp_path / "fold_0"
    with pytest.raises(MachineLostError):
        train_detector(recipe, training_pages, validation_pages, folder)
    hotter = changed(recipe, learning_rate=0.01)
    message = r"recipe\.training\.learning_rate was 0\.00045, now 0\.01.*resume=false"
    with pytest.raises(ValueError, match=message):
        train_detector(hotter, training_pages, validation_pages, folder)
    with pytest.raises(ValueError, match=r"first difference: training_pages was"):
        train_detector(recipe, training_pages[1:], validation_pages, folder)
    training_pages[0].polygons[0][0, 0] += 1
    with pytest.raises(ValueError, match=r"first difference: training_pages was"):
        train_detector(recipe, training_pages, validation_pages, folder)
    training_pages[0].polygons[0][0, 0] -= 1
    with validation_pages[1].path.open("ab") as image:
        image.write(b"another photo")
    with pytest.raises(ValueError, match=r"first difference: validation_pages was"):
        train_detector(recipe, training_pages, validation_pages, folder)


def test_a_failed_first_attempt_does_not_stand_in_the_way_of_the_next(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    folder = tmp_path / "fold_0"
    missing = {"pretrained": True, "encoder_weights": str(tmp_path / "missing.pth")}
    network = recipe.network.model_copy(update=missing)
    recipe = changed(recipe, epochs=1)
    with pytest.raises(FileNotFoundError, match=r"missing\.pth"):
        wrong = recipe.model_copy(update={"network": network})
        train_detector(wrong, training_pages, validation_pages, folder)
    assert not folder.exists()
    with pytest.raises(ValueError, match=r"became nan in epoch 0"):
        wild = changed(recipe, learning_rate=1e30)
        train_detector(wild, training_pages, validation_pages, folder)
    result = train_detector(recipe, training_pages, validation_pages, folder)
    assert len(result.history) == 1
    with pytest.raises(ValueError, match=r"learning_rate was 0\.00045, now 0\.01"):
        train_detector(
            changed(recipe, learning_rate=0.01), training_pages, validation_pages, folder
        )


def test_an_image_that_is_missing_is_named_when_it_is_read(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    training_pages[0].path.unlink()
    with pytest.raises(FileNotFoundError, match=r"train_0\.png"):
        train_detector(recipe, training_pages, validation_pages, tmp_path / "fold_0")


def test_starting_over_deletes_the_earlier_training_but_no_other_folder(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    folder = tmp_path / "fold_0"
    short = changed(recipe, epochs=1)
    train_detector(short, training_pages, validation_pages, folder)
    over = changed(recipe, epochs=1, learning_rate=0.01, resume=False)
    maps = tmp_path / "maps"
    maps.mkdir()
    work = WorkFolder(folder, results=[(open_folder(maps), "")])
    train_detector(short, training_pages, validation_pages, work)
    assert maps.exists()  # nothing was trained anew
    with (
        hold_folder(folder),
        pytest.raises(ValueError, match=r"another process is training in .*fold_0"),
    ):
        train_detector(over, training_pages, validation_pages, work)
    assert maps.exists()
    result = train_detector(over, training_pages, validation_pages, work)
    assert not maps.exists()
    assert len(result.history) == 1
    assert len(list(folder.glob("epoch=*.ckpt"))) == 1
    pages = training_pages[0].path.parent
    with pytest.raises(ValueError, match=r"something else than a training"):
        train_detector(over, training_pages, validation_pages, pages)
    assert training_pages[0].path.is_file()


def test_starting_over_deletes_nothing_unless_the_new_training_can_start(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    folder = tmp_path / "fold_0"
    short = changed(recipe, epochs=1)
    first = train_detector(short, training_pages, validation_pages, folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    # A Mac's accelerator on a machine that is none, or a GPU on one without.
    other = "cuda" if torch.backends.mps.is_available() else "mps"
    lacking = changed(short, accelerator=other, resume=False)
    message = (
        rf"training\.accelerator '{other}' with training\.devices 1 and training\.num_nodes 1 "
        r"cannot be used on this machine \(.+\); set training\.accelerator to auto or cpu"
    )
    with pytest.raises(ValueError, match=message):
        train_detector(lacking, training_pages, validation_pages, folder)
    network = recipe.network.model_copy(update={"encoder": "no_such_encoder"})
    wrong = changed(short, resume=False).model_copy(update={"network": network})
    with pytest.raises(ValueError, match=r"timm has no model 'no_such_encoder'"):
        train_detector(wrong, training_pages, validation_pages, folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert train_detector(short, training_pages, validation_pages, folder) == first


def test_an_interrupted_and_resumed_training_equals_an_unbroken_one(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = changed(recipe, epochs=3, schedule="one_cycle", learning_rate=0.01)
    whole = train_detector(recipe, training_pages, validation_pages, tmp_path / "whole")
    broken = tmp_path / "broken"
    with monkeypatch.context() as patch, pytest.raises(MachineLostError):
        interrupt_in(patch, epoch=2)
        train_detector(recipe, training_pages, validation_pages, broken)
    # The folder may have been copied to another machine meanwhile.
    moved = tmp_path / "moved"
    shutil.copytree(broken, moved)
    shutil.rmtree(broken)
    resumed = train_detector(recipe, training_pages, validation_pages, moved)
    assert learnt(resumed) == learnt(whole)
    assert resumed.checkpoint == moved / whole.checkpoint.name
    expected = last_weights(tmp_path / "whole")
    for name, value in last_weights(moved).items():
        assert torch.equal(value, expected[name]), name
    assert sorted(f.name for f in moved.iterdir()) == sorted(
        f.name for f in (tmp_path / "whole").iterdir()
    )


def test_the_best_epochs_and_the_last_are_kept(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_scores(monkeypatch, [0.5, 0.25, 0.75, 0.75, 0.125])
    recipe = changed(recipe, epochs=5, kept_checkpoints=2)
    result = train_detector(recipe, training_pages[:2], validation_pages, tmp_path / "fold_0")
    # Of two equal epochs the earlier is the best.
    assert (result.best_epoch, result.best_hmean) == (2, 0.75)
    assert sorted(f.name for f in (tmp_path / "fold_0").glob("*.ckpt")) == [
        "epoch=02-hmean=0.7500.ckpt",
        "epoch=03-hmean=0.7500.ckpt",
        "last.ckpt",
    ]
    assert read_checkpoint(tmp_path / "fold_0" / "last.ckpt").epoch == 4


def test_a_training_that_finds_nothing_still_leaves_a_checkpoint(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_scores(monkeypatch, [0.0, 0.0])
    result = train_detector(recipe, training_pages[:2], validation_pages, tmp_path / "fold_0")
    assert (result.best_epoch, result.checkpoint.name) == (0, "epoch=00-hmean=0.0000.ckpt")
    assert read_checkpoint(result.checkpoint).epoch == 0


def test_patience_counts_from_the_final_size_on_and_survives_an_interruption(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The final size comes at epoch 2; the best epoch before it starts no count.
    frame = FrameSettings(sizes={0: 64, 2: 96})
    recipe = changed(recipe, epochs=9, patience=2).model_copy(update={"frame": frame})
    fake_scores(monkeypatch, [0.9, 0.5, 0.5, 0.625, 0.5, 0.5, 1.0, 1.0, 1.0])
    folder = tmp_path / "fold_0"

    def train() -> TrainingResult:
        return train_detector(recipe, training_pages[:2], validation_pages, folder)

    with monkeypatch.context() as patch, pytest.raises(MachineLostError):
        interrupt_after_epoch(patch, epoch=4)
        train()
    result = train()
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3, 4, 5]
    assert (result.best_epoch, result.stopped_by) == (0, "patience of 2 epochs")
    # Killed between the last epoch and the note that the training is finished:
    (folder / "finished.json").unlink()
    assert train() == result


def interrupt_after_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Break off as soon as the files of an epoch are written."""
    start = DetectorModule.on_train_epoch_start

    def breaking(self: DetectorModule) -> None:
        if self.current_epoch == epoch + 1:
            raise MachineLostError
        start(self)

    monkeypatch.setattr(DetectorModule, "on_train_epoch_start", breaking)


def test_a_loss_that_is_no_number_ends_the_training_with_advice(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    wild = changed(recipe, learning_rate=1e30)
    with pytest.raises(
        ValueError, match=r"became nan in epoch 0; lower training\.learning_rate \(1e\+30\)"
    ):
        train_detector(wild, training_pages, validation_pages, tmp_path / "fold_0")


def test_pages_must_stand_on_one_side_and_every_process_needs_some(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages, tmp_path: Path
) -> None:
    folder = tmp_path / "fold_0"
    with pytest.raises(ValueError, match=r"'train_0\.png' would be trained on and judged by"):
        train_detector(recipe, training_pages, training_pages[:1], folder)
    with pytest.raises(ValueError, match=r"needs pages to learn from, got none"):
        train_detector(recipe, [], validation_pages, folder)
    many = changed(recipe, devices=3)
    with pytest.raises(ValueError, match=r"num_nodes is 3, but there are only 2 pages on one side"):
        train_detector(many, training_pages, validation_pages, folder)
    assert not folder.exists()


def test_a_training_and_its_resumption_are_quiet(  # noqa: PLR0917
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch, pytest.raises(MachineLostError):
        interrupt_in(patch, epoch=1)
        train_detector(recipe, training_pages, validation_pages, tmp_path / "fold_0")
    train_detector(recipe, training_pages, validation_pages, tmp_path / "fold_0")
    assert [str(w.message) for w in recwarn] == []
    assert "it/s" not in capfd.readouterr().out  # no progress bar without a terminal


def test_a_terminal_shows_a_bar_with_loss_and_hmean(  # noqa: PLR0917
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    logger = CSVLogger(tmp_path / "figures")
    train_detector(recipe, training_pages, validation_pages, tmp_path / "fold_0", logger)
    shown = capsys.readouterr().out
    assert re.search(r"Epoch 1: .*loss=.*hmean=", shown)
    assert re.search(r"to go=\d+ s", shown)
    assert "v_num" not in shown


def test_a_training_that_is_not_judged_ends_after_its_epochs_with_the_last_one(
    recipe: Recipe, training_pages: Pages, tmp_path: Path
) -> None:
    recipe = changed(recipe, epochs=3, patience=1, kept_checkpoints=2)
    folder = tmp_path / "final"
    result = train_detector(recipe, training_pages, [], folder)
    assert (result.best_epoch, result.best_hmean, result.stopped_by) == (2, None, "3 epochs")
    assert "hmean" not in result.history[0]
    assert sorted(file.name for file in folder.glob("*.ckpt")) == [
        "epoch=01.ckpt",
        "epoch=02.ckpt",
        "last.ckpt",
    ]
    for name, value in read_checkpoint(result.checkpoint).state.items():
        assert torch.equal(value, last_weights(folder)[name])
    assert train_detector(recipe, training_pages, [], folder) == result


def test_a_moving_average_is_judged_kept_and_resumed(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = changed(recipe, epochs=3, ema_decay=0.5, learning_rate=0.01)
    result = train_detector(recipe, training_pages, validation_pages, tmp_path / "whole")
    state = torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)
    kept = read_checkpoint(result.checkpoint)
    assert kept.epoch == result.best_epoch
    name = "head.probability.0.weight"
    average, current = (state[k][f"network.{name}"] for k in ("state_dict", "current_model_state"))
    assert not torch.equal(average, current)
    if result.best_epoch == 2:
        assert torch.equal(kept.state[name], average)
    with monkeypatch.context() as patch, pytest.raises(MachineLostError):
        interrupt_in(patch, epoch=2)
        train_detector(recipe, training_pages, validation_pages, tmp_path / "broken")
    resumed = train_detector(recipe, training_pages, validation_pages, tmp_path / "broken")
    assert learnt(resumed) == learnt(result)
    again = torch.load(tmp_path / "broken" / "last.ckpt", weights_only=True)
    for part in ("state_dict", "current_model_state"):
        for key, value in state[part].items():
            assert torch.equal(value, again[part][key]), key


def test_devices_machines_and_strategy_reach_the_trainer(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    class NoTrainer:
        def __init__(self, **options: Any) -> None:
            asked.append(options)
            raise MachineLostError

    monkeypatch.setattr("receipt_ocr.training.loop.lightning.Trainer", NoTrainer)
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
            train_detector(
                changed(recipe, **choice), training_pages, validation_pages, tmp_path / "fold_0"
            )
    assert not (tmp_path / "fold_0").exists()
    names = ("devices", "num_nodes", "strategy", "sync_batchnorm", "precision")
    assert [tuple(options[name] for name in names) for options in asked] == [
        (2, 1, "ddp_spawn", False, "32-true"),
        (1, 2, "ddp", True, "32-true"),
        (1, 1, "auto", False, "bf16-mixed"),
    ]
    assert [options["accumulate_grad_batches"] for options in asked] == [1, 1, 4]
    # Without a launcher, a SLURM job around is not waited for.
    assert [options["plugins"] is None for options in asked] == [False, True, False]
    # Batches and pages are dealt by our loaders: Lightning must not deal them again.
    assert not any(options["use_distributed_sampler"] for options in asked)


def test_half_precision_trains_validates_and_resumes(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = changed(recipe, precision="bf16-mixed", learning_rate=0.01)
    whole = train_detector(recipe, training_pages, validation_pages, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(MachineLostError):
        interrupt_in(patch, epoch=1)
        train_detector(recipe, training_pages, validation_pages, tmp_path / "broken")
    resumed = train_detector(recipe, training_pages, validation_pages, tmp_path / "broken")
    assert learnt(resumed) == learnt(whole)
    full = train_detector(
        changed(recipe, precision="32-true"), training_pages, validation_pages, tmp_path / "full"
    )
    assert full.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], rel=0.02)
    assert full.history[0]["loss"] != whole.history[0]["loss"]


def test_the_error_of_a_spawned_process_is_told_in_its_own_words(
    recipe: Recipe,
    training_pages: Pages,
    validation_pages: Pages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ProcessRaisedException(f"\n-- Process 1 ...\n{words}\n", 1, 4711)

    monkeypatch.setattr("receipt_ocr.training.loop.lightning.Trainer.fit", fail)
    arguments = (recipe, training_pages, validation_pages, tmp_path / "fold_0")
    words = "Traceback ...\nValueError: the loss was no number (pages a.png)"
    with pytest.raises(ValueError, match=r"^the loss was no number \(pages a\.png\)$"):
        train_detector(*arguments)
    words = "Traceback ...\nKeyError: 'a bug'"
    with pytest.raises(ProcessRaisedException, match="a bug"):
        train_detector(*arguments)
