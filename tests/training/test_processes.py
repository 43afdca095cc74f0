"""Trainings in processes of their own: killed ones, and several that train together."""

import json
import os
import socket
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from lightning.pytorch.loggers import MLFlowLogger

from receipt_ocr.detector.checkpoint import read_checkpoint
from receipt_ocr.detector.inference import Detector
from receipt_ocr.training.loading import FramedPages
from receipt_ocr.training.loop import train_detector
from receipt_ocr.training.module import DetectorModule
from receipt_ocr.training.validation import ValidationScorer
from tests.training.small_training import SmallTraining, assert_same_weights, change, learnt

PATIENCE_S = 120  # for a slow machine
FORKED = get_context("fork")  # what is imported already need not be imported once more


def test_a_killed_training_goes_on_and_ends_as_an_unbroken_one(train: SmallTraining) -> None:
    # Decoded pages on disk, and epochs enough to be killed in the middle of.
    train.recipe = change(train.recipe, epochs=6, patience=6, learning_rate=0.01)
    folder = train.parent / "killed"
    process = FORKED.Process(target=train, args=("killed",))
    process.start()
    end = time.monotonic() + PATIENCE_S
    while not (folder / "last.ckpt").exists():
        assert process.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()  # as kill -9 does
    process.join()
    assert not (folder / "finished.json").exists()
    assert (folder / "decoded_pages").is_dir()
    epochs_before = len(read_checkpoint(folder / "last.ckpt").history)
    assert 1 <= epochs_before < 6
    resumed, whole = train("killed"), train("whole")
    assert learnt(resumed) == learnt(whole)
    assert resumed.checkpoint.name == whole.checkpoint.name
    assert_same_weights(folder / "last.ckpt", train.parent / "whole" / "last.ckpt")
    assert not (folder / "decoded_pages").exists()
    assert not list(folder.rglob("*.partial"))


def join_training(rank: int, port: int, arguments: tuple[Any, ...], folder: Path) -> None:
    """Train as one of two processes of torchrun's; the second meets a bad batch."""
    launched = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    launched |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"}
    os.environ.update({**launched, "RANK": str(rank), "LOCAL_RANK": str(rank)})
    step = DetectorModule.training_step

    def poisoned(self: DetectorModule, batch: dict[str, Any], number: int) -> torch.Tensor:
        if rank == 1 and self.global_step == 0:
            batch["image"] = batch["image"].float() * float("nan")
        return step(self, batch, number)

    DetectorModule.training_step = poisoned  # type: ignore[method-assign]
    result = train_detector(*arguments, folder)
    skipped = [row["skipped_steps"] for row in result.history]
    (folder.parent / f"went_on_{rank}").write_text(json.dumps(skipped))


def test_processes_of_a_launcher_train_together_and_the_first_alone_goes_on(
    train: SmallTraining, tmp_path: Path
) -> None:
    recipe = change(train.recipe, devices=2, batch_size=1)
    arguments = (recipe, train.training[:4], train.validation)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    folder = tmp_path / "together"
    calls = [(rank, port, arguments, folder) for rank in range(2)]
    processes = [FORKED.Process(target=join_training, args=call) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    # The loss of one process was not finite: both passed over that batch.
    assert json.loads((tmp_path / "went_on_0").read_text()) == [1.0, 0.0]
    assert not (tmp_path / "went_on_1").exists()
    assert (folder / "finished.json").is_file()
    for weight in read_checkpoint(folder / "last.ckpt").state.values():
        assert not weight.is_floating_point() or bool(torch.isfinite(weight).all())


def test_two_processes_train_together_and_score_each_page_once(
    train: SmallTraining, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for each of the started processes
    client = mlflow.MlflowClient(tracking_uri)
    experiment = client.create_experiment("together", artifact_location=str(train.parent / "files"))
    run_id = client.create_run(experiment).info.run_id  # opened beforehand, as a stage does
    logger = MLFlowLogger(run_id=run_id, tracking_uri=tracking_uri, prefix="fold_0")
    # Two batches a process; an odd validation page; so long that words are found.
    validation = train.validation = [*train.validation, train.training.pop()]
    schedule = {"epochs": 12, "patience": 12, "learning_rate": 0.01}
    result = train("together", logger, devices=2, batch_size=1, **schedule)
    folder = train.parent / "together"
    assert len(result.history) == 12
    notes = [file.name for file in folder.iterdir() if file.suffix != ".ckpt"]
    assert sorted(notes) == ["finished.json", "settings.json"]
    assert read_checkpoint(folder / "last.ckpt").epoch == 11
    assert result.inference_seconds_per_page and result.peak_memory_mib  # measured by the first
    # The kept checkpoint scores in one process exactly what two processes found together.
    detector = Detector.from_checkpoint(result.checkpoint, device="cpu")
    scorer = ValidationScorer(validation, train.recipe.postprocess)
    for page in FramedPages(validation, train.recipe):
        with torch.inference_mode():
            probability = detector.network.predict(page.image[None])[0, 0].numpy()
        scorer.add(page.name, scorer.decode(probability, page.frame))
    score = scorer.conclude()
    assert score.hmean == result.best_hmean
    assert score.hmean > 0.1  # something was found: equal scores say something
    # One run, written by the first process alone.
    assert [run.info.run_id for run in client.search_runs([experiment])] == [run_id]
    logged = client.get_metric_history(run_id, "fold_0-hmean")
    hmeans = [row["hmean"] for row in result.history]
    assert [metric.value for metric in logged] == pytest.approx(hmeans)
