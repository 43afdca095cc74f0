"""The runs of experiments and folds, as a command that trains folds leaves them."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from receipt_ocr.fan_out.job import Job
from receipt_ocr.fan_out.plan import Fold, Status
from receipt_ocr.fan_out.tracking import FoldRuns
from receipt_ocr.storage.files import open_folder


def fold(experiment: str, number: int, status: Status = "waiting") -> Fold:
    job = Job(f"{experiment} fold {number}", "", None, {}, "", "")
    return Fold(experiment, number, job, open_folder(Path("never")), status)


def start(uri: str, *folds: Fold) -> FoldRuns:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("receipts")
    place = found.experiment_id if found else client.create_experiment("receipts")
    runs = FoldRuns(client, place)
    runs.start(folds, {"command": "kedro train-folds"})
    return runs


@pytest.mark.parametrize("failed", [False, True])
def test_a_stop_is_noted_where_folds_had_not_ended(tracking_uri: str, failed: bool) -> None:
    last = "failed" if failed else "finished before"
    folds = [fold("done", 0, "trained"), fold("done", 1, last)]
    folds += [fold("running", 0, "stopped"), fold("waiting", 0, "stopped")]
    runs = start(tracking_uri, *folds)
    for one in folds[:3]:
        assert runs.open(one)["mlflow_run_name"] == one.name
        assert runs.open(one) == runs.open(one)
    runs.end(folds[0])
    runs.close(folds)
    client = MlflowClient(tracking_uri)
    statuses = {name: client.get_run(run).info.status for name, run in runs.parents.items()}
    ended = "FAILED" if failed else "FINISHED"
    assert statuses == {"done": ended, "running": "KILLED", "waiting": "KILLED"}


def test_folds_of_earlier_commands_stay_in_the_tag(tracking_uri: str) -> None:
    for folds in ([fold("a", 2), fold("a", 0)], [fold("a", 1), fold("a", 2), fold("b", 3)]):
        runs = start(tracking_uri, *folds)
        runs.close(folds)
    tags = {
        name: MlflowClient(tracking_uri).get_run(run).data.tags["folds"]
        for name, run in runs.parents.items()
    }
    assert tags == {"a": "0,1,2", "b": "3"}


def test_nothing_is_done_where_trainings_are_not_tracked() -> None:
    runs, one = FoldRuns(), fold("a", 0, "trained")
    runs.start([one], {})
    assert runs.open(one) == {}
    runs.end(one)
    runs.close([one])
    assert runs.parents == {}
