"""In which order folds are tried, and what is noted of them."""

import json
import signal
from concurrent.futures import Future
from pathlib import Path

import pytest

from receipt_ocr.commands.train_folds import tabulate_folds
from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.fan_out import schedule
from receipt_ocr.fan_out.job import Job, Result
from receipt_ocr.fan_out.local import share_devices
from receipt_ocr.fan_out.plan import Fold, parse_folds
from receipt_ocr.fan_out.schedule import Scheduler, Stopped, stop_on_signals
from receipt_ocr.fan_out.tracking import FoldRuns
from receipt_ocr.fan_out.worker import ResumeTraining
from receipt_ocr.storage.files import open_folder


def write(file: Path, hmean: float, epoch: int) -> None:
    """Write a file of a training, as a new version."""
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"best_hmean": hmean, "best_epoch": epoch}))
    partial.replace(file)


def train(executor: "OneByOne", folds: list[Fold], retries: int) -> list[str]:
    """Train the folds; returns what was said."""
    said: list[str] = []
    Scheduler(executor, FoldRuns(), retries, said.append).train(folds)
    return said


class OneByOne:
    """Runs a job at a time, as a script says: what each try leaves, and its failure."""

    slots, has_gpus = 1, False

    def __init__(self, script: dict[str, list[tuple[list[Path], str]]]) -> None:
        self.script = script
        self.submitted: list[tuple[str, bool]] = []

    def submit(self, job: Job) -> tuple[Future[Result], str]:
        self.submitted.append((job.name, job.resume))
        files, message = self.script[job.name].pop(0)
        for file in files:
            write(file, 0.75, 3)
        future: Future[Result] = Future()
        if message == "lost":
            future.set_exception(ConnectionError("the machine\n\nis gone\nfor good"))
        else:
            future.set_result(Result(message, 60.0, "here"))
        return future, "starts"


def make_folds(folder: Path, count: int) -> list[Fold]:
    return [
        Fold("a", n, Job(f"a fold {n}", "", None, {}, str(folder / f"fold_{n}.log"), ""), own)
        for n in range(count)
        for own in [open_folder(folder / f"fold_{n}")]
    ]


def test_a_retry_comes_last_and_resumes_only_what_this_command_began(tmp_path: Path) -> None:
    folds = make_folds(tmp_path, 4)
    claim, end = (
        [tmp_path / fold.folder.name / name for fold in folds]
        for name in ("settings.json", "finished.json")
    )
    for file in (claim[0], end[0], claim[1], end[1]):  # of earlier trainings
        write(file, 0.5, 1)
    executor = OneByOne(
        {
            "a fold 0": [([], "")],
            "a fold 1": [([], "too early"), ([claim[1]], "killed"), ([end[1]], "")],
            "a fold 2": [([claim[2], end[2]], "")],
            "a fold 3": [([claim[3]], "one"), ([], "two"), ([], "three")],
        }
    )
    said = train(executor, folds, retries=2)
    first_tries = [(f"a fold {number}", False) for number in range(4)]
    # At its first retry the folder of fold 1 still holds what was there before.
    retries = [("a fold 1", False), ("a fold 3", True), ("a fold 1", True), ("a fold 3", True)]
    assert executor.submitted == first_tries + retries
    assert [fold.status for fold in folds] == ["finished before", "trained", "trained", "failed"]
    assert [fold.after.hmean for fold in folds] == [0.5, 0.75, 0.75, None]
    assert sum("FAILED on here" in line for line in said) == 5
    lines = [" ".join(line.split()[2:]) for line in tabulate_folds(folds, tmp_path)]
    assert lines[1] == "finished before 1.0 0.5000 1 fold_0.log"
    assert lines[2] == "trained in 3 tries 3.0 0.7500 3 fold_1.log"
    assert lines[4] == "failed after 3 tries 3.0 - - fold_3.log"
    assert tabulate_folds(folds, tmp_path)[5] == "    three"


def test_a_job_that_is_lost_with_its_machine_is_tried_again(tmp_path: Path) -> None:
    folds = make_folds(tmp_path, 1)
    said = train(OneByOne({"a fold 0": [([], "lost"), ([], "")]}), folds, retries=1)
    assert folds[0].status == "trained"
    assert "will be tried again: ConnectionError: the machine is gone" in said[1]


def test_storage_that_does_not_answer_ends_no_fold_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ConnectionError("no route to bucket")

    monkeypatch.setattr(schedule, "read_traces", fail)
    executor = OneByOne({"a fold 0": [([], "killed"), ([], "")], "a fold 1": [([], "")]})
    folds = make_folds(tmp_path, 2)
    said = train(executor, folds, retries=1)
    assert [fold.status for fold in folds] == ["trained", "trained"]
    assert executor.submitted == [("a fold 0", False), ("a fold 1", False), ("a fold 0", True)]
    assert any("cannot be read now (no route to bucket)" in line for line in said)


def test_folds_on_gpus_never_fall_back_to_the_cpu(tmp_path: Path) -> None:
    [fold] = make_folds(tmp_path, 1)
    executor = OneByOne({})
    executor.has_gpus = True
    scheduler = Scheduler(executor, FoldRuns(), 0, print)
    on_gpu = {"recipe": {"training": {"accelerator": "gpu"}}}
    assert scheduler._params(fold)["experiments"] == on_gpu
    own = {"recipe": {"training": {"accelerator": "mps", "epochs": 1}}}
    fold.job.params["experiments"] = own
    assert scheduler._params(fold)["experiments"] == own


def test_a_signal_stops_and_a_second_one_does_not_disturb() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as caught, stop_on_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
    assert (caught.value.name, caught.value.code) == ("SIGTERM", 128 + signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("variant", [{}, {"training": {"resume": False, "epochs": 3}}])
def test_a_retry_resumes_whatever_recipe_and_variant_say(variant: dict[str, object]) -> None:
    recipe = Recipe().model_copy(
        update={"training": Recipe().training.model_copy(update={"resume": False})}
    )
    experiments = Experiments(selected="a", recipe=recipe, variants={"a": variant, "b": {}})
    assert not experiments.chosen.training.resume
    changed = ResumeTraining().before_node_run(
        {"params:experiments": experiments, "params:fold": 1}
    )
    assert list(changed) == ["params:experiments"]
    own = changed["params:experiments"].chosen
    wanted = experiments.chosen.training.model_copy(update={"resume": True})
    assert own == experiments.chosen.model_copy(update={"training": wanted})


def test_folds_are_named_in_many_ways() -> None:
    assert parse_folds("all") == [0, 1, 2, 3, 4]
    assert parse_folds("3") == [3]
    assert parse_folds(" 2, 0-1,2") == [2, 0, 1]
    for wrong in ("", "x", "1-", "5", "-1", "3-1"):
        with pytest.raises(ValueError, match="folds"):
            parse_folds(wrong)


def test_devices_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert share_devices("0,1,2,3", 2) == ["0,1", "2,3"]
    for wrong, each in (("0,0", 1), ("0,1,2", 2), ("", 1), ("0", 0)):
        with pytest.raises(ValueError, match="--devices"):
            share_devices(wrong, each)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with pytest.raises(ValueError, match="0 is not among CUDA_VISIBLE_DEVICES=2,3"):
        share_devices("0,3", 1)
