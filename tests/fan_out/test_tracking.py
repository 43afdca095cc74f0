"""The runs of experiments and folds, as a command that trains folds leaves them."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from receipt_ocr.fan_out.plan import Fold
from receipt_ocr.fan_out.tracking import FanOutRuns


def fold(experiment: str, number: int) -> Fold:
    return Fold(experiment, number, {}, Path("never"), Path("never"))


def start(uri: str, *folds: Fold) -> FanOutRuns:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("receipts")
    place = found.experiment_id if found else client.create_experiment("receipts")
    return FanOutRuns(client, place, folds, {"command": "kedro train-folds"})


def statuses(uri: str, runs: FanOutRuns) -> dict[str, str]:
    client = MlflowClient(uri)
    return {name: client.get_run(run).info.status for name, run in runs.parents.items()}


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_stop_is_noted_where_folds_had_not_ended(tracking_uri: str, has_failed: bool) -> None:
    folds = [fold("done", 0), fold("done", 1), fold("running", 0), fold("waiting", 0)]
    runs = start(tracking_uri, *folds)
    for one in folds[:3]:
        runs.open(one)
    runs.end(folds[0], has_failed=False)
    runs.end(folds[1], has_failed=has_failed)
    runs.close(was_stopped=True)
    ended = "FAILED" if has_failed else "FINISHED"
    assert statuses(tracking_uri, runs) == {
        "done": ended,
        "running": "KILLED",
        "waiting": "KILLED",
    }


def test_folds_of_earlier_commands_stay_in_the_tag(tracking_uri: str) -> None:
    for folds in ([fold("a", 2), fold("a", 0)], [fold("a", 1), fold("a", 2), fold("b", 3)]):
        runs = start(tracking_uri, *folds)
        runs.close(was_stopped=False)
    tags = {
        name: MlflowClient(tracking_uri).get_run(run).data.tags["folds"]
        for name, run in runs.parents.items()
    }
    assert tags == {"a": "0,1,2", "b": "3"}
