"""Where runs lie in MLflow, with a database file and with a server of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import mlflow
import pandas as pd
import pytest
from kedro.io import DataCatalog
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from receipt_ocr.pipeline_registry import register_pipelines
from receipt_ocr.tracking.hooks import MlflowRun
from receipt_ocr.tracking.layout import PARENT, ROLES, find_parent, open_child
from receipt_ocr.tracking.runs import (
    FOLD_RUNS,
    find_lost,
    fold_run,
    log_active,
    log_experiment,
    log_figures,
    place_run,
    place_score,
)

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(tracking_uri: str) -> Iterator[MlflowClient]:
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("receipts")
    yield MlflowClient(tracking_uri)
    FOLD_RUNS.clear()


def experiment_of(client: MlflowClient) -> str:
    found = client.get_experiment_by_name("receipts")
    assert found is not None
    return str(found.experiment_id)


def test_an_experiment_has_one_run(client: MlflowClient) -> None:
    own = experiment_of(client)
    first = find_parent(client, own, "lite0")
    assert find_parent(client, own, "lite0") == first != find_parent(client, own, "lite0@flips")
    run = client.get_run(first)
    assert run.info.run_name == "lite0"
    assert run.data.tags["role"] == "experiment"
    assert run.info.status == "FINISHED"


def test_a_run_is_put_below_its_experiment(client: MlflowClient) -> None:
    with mlflow.start_run(run_name="tuning") as run:
        place_run("lite0", "tuning", None, {"data.pages": "0123"})
    placed = client.get_run(run.info.run_id)
    assert placed.data.tags[PARENT] == find_parent(client, experiment_of(client), "lite0")
    assert placed.info.run_name == "lite0 tuning"
    assert placed.data.tags["data.pages"] == "0123"
    with mlflow.start_run(run_name="mine") as run:  # a name that was given stays
        place_run("lite0", "train_fold", 3, {})
    placed = client.get_run(run.info.run_id)
    assert (placed.info.run_name, placed.data.tags["role"]) == ("mine", "fold")
    assert placed.data.tags["fold"] == "3"
    place_run("lite0", "tuning", None, {})  # no run is active: nothing happens


def test_a_fold_of_its_own_run_logs_there(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        place_run("lite0", "train_fold", 2, {})
        with fold_run("fold_2", "lite0") as run_id:
            assert run_id == run.info.run_id
    assert {"fold_2": run.info.run_id} == FOLD_RUNS


def test_folds_of_one_run_get_runs_of_their_own(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        place_run("lite0", "train", None, {})
        with fold_run("fold_0", "lite0") as first:
            assert first is not None
            log_figures(first, {"val_hmean": 0.5})
        with pytest.raises(KeyError), fold_run("fold_1", "lite0") as second:
            raise KeyError("the fold fails")
    assert len({run.info.run_id, first, second}) == 3
    assert {"fold_0": first, "fold_1": second} == FOLD_RUNS
    trained, failed = client.get_run(first), client.get_run(str(second))
    assert (trained.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert trained.data.metrics == {"val_hmean": 0.5}
    assert trained.data.tags[PARENT] == find_parent(client, experiment_of(client), "lite0")
    assert [one.data.tags["fold"] for one in (trained, failed)] == ["0", "1"]


def test_a_fold_beside_others_is_told_of_settings_data_and_code(client: MlflowClient) -> None:
    params = {f"recipe.value_{number}": str(number) for number in range(230)}
    known = {
        "data.pages": "0123",
        "environment.torch": "2.7.0",
        "git.changed": "false",
        "mlflow.source.git.commit": "a" * 40,
    }
    with mlflow.start_run():
        place_run("lite0", "train", None, {**known, "note": "of the whole run"})
        for first in range(0, len(params), 100):  # a whole run logs them block by block
            mlflow.log_params(dict(list(params.items())[first : first + 100]))
        with fold_run("fold_0", "lite0") as own:
            assert own is not None
    trained = client.get_run(own)
    assert trained.data.params == params
    assert trained.data.tags.items() >= known.items()
    assert "note" not in trained.data.tags
    assert (trained.data.tags["role"], trained.info.run_name) == ("fold", "lite0 fold 0")


def test_a_score_lies_below_the_experiment_that_submitted(client: MlflowClient) -> None:
    place_score("wide")  # no run is active: nothing happens
    own = experiment_of(client)
    with mlflow.start_run(run_name="score_submission") as run:
        place_run("lite0", "score_submission", None, {})
        place_score("wide@flips")
    scored = client.get_run(run.info.run_id)
    assert scored.data.tags[PARENT] == find_parent(client, own, "wide@flips")
    assert scored.data.tags["experiment"] == "wide@flips"
    assert (scored.data.tags["role"], scored.info.run_name) == (
        "test truth",
        "wide@flips test truth",
    )
    with mlflow.start_run(run_name="mine") as run:  # a name that was given stays
        place_run("lite0", "leaderboard", None, {})
        place_score("wide")
    scored = client.get_run(run.info.run_id)
    assert (scored.info.run_name, scored.data.tags["experiment"]) == ("mine", "wide")
    with mlflow.start_run() as run:  # this one has made the submission, too
        place_run("lite0", "ensemble+leaderboard", None, {})
        place_score("wide")
    assert client.get_run(run.info.run_id).data.tags["experiment"] == "lite0"


def test_without_mlflow_nothing_is_logged() -> None:
    FOLD_RUNS["fold_0"] = "of an earlier session"
    with fold_run("fold_0", "lite0") as run_id:
        assert run_id is None
    assert FOLD_RUNS == {}
    log_active({"hmean": 0.5})
    log_experiment("lite0", {"hmean": 0.5})
    assert find_lost(["0123"]) == set()


def test_figures_reach_runs_that_have_ended(client: MlflowClient) -> None:
    own = experiment_of(client)
    run_id = open_child(client, own, "lite0", 0, "lite0 fold 0")
    client.set_terminated(run_id)
    assert log_figures(run_id, {"leaderboard_hmean": 0.9625}, {"note": "late"})
    run = client.get_run(run_id)
    assert run.data.metrics == {"leaderboard_hmean": 0.9625}
    assert run.data.tags["note"] == "late"
    assert run.info.status == "FINISHED"
    with mlflow.start_run() as active:
        log_active({"gap": 0.25, "holdout_gap": None})
        log_experiment("lite0", {"gap": 0.25, "holdout_gap": None})
    assert client.get_run(active.info.run_id).data.metrics == {"gap": 0.25}
    assert client.get_run(find_parent(client, own, "lite0")).data.metrics == {"gap": 0.25}


def test_a_run_that_is_gone_is_told(client: MlflowClient, caplog: pytest.LogCaptureFixture) -> None:
    run_id = open_child(client, experiment_of(client), "lite0", 0, "lite0 fold 0")
    kept = open_child(client, experiment_of(client), "lite0", 1, "lite0 fold 1")
    client.delete_run(run_id)
    assert not log_figures(run_id, {"gap": 0.25})
    assert not log_figures("0" * 32, {"gap": 0.25})
    assert run_id in caplog.text
    assert "gap" in caplog.text
    with mlflow.start_run():
        gone = {run_id, "0" * 32, "no id/"}
        assert find_lost([*gone, kept]) == gone


@pytest.fixture
def away(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A run is active, and its server has gone away since; its id."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with mlflow.start_run() as run:
        place_run("lite0", "train", None, {})
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
            mlflow.set_tracking_uri("http://127.0.0.1:9")  # nobody listens there
            yield run.info.run_id
        mlflow.set_tracking_uri(client.tracking_uri)


def test_a_server_that_is_away_costs_no_result(away: str, caplog: pytest.LogCaptureFixture) -> None:
    place_run("lite0", "train", None, {})
    place_score("lite0")
    log_active({"gap": 0.25})
    log_experiment("lite0", {"gap": 0.5})
    pages = {"type": "kedro.io.MemoryDataset", "metadata": {"mlflow": "hash"}}
    hook, table = MlflowRun(), pd.DataFrame({"page": ["a.jpg"]})
    hook.before_pipeline_run({"project_path": PROJECT}, DataCatalog.from_config({"pages": pages}))
    hook.after_dataset_loaded("pages", table)
    with fold_run("fold_0", "lite0") as run_id:
        assert run_id == away  # there is no other
    assert {"fold_0": away} == FOLD_RUNS
    for told in (
        "did not take the place of the run",
        f"run {away} did not get gap",
        "did not take the figures of lite0",
        "did not take the hash of pages",
        "did not take a run of fold_0",
    ):
        assert told in caplog.text


def test_a_server_that_goes_away_during_a_training_costs_no_result(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("no answer")

    with mlflow.start_run():
        place_run("lite0", "train", None, {})
        with fold_run("fold_0", "lite0") as run_id, monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_terminated", fail)
            with pytest.raises(KeyError), fold_run("fold_1", "lite0"):
                raise KeyError("the fold fails")  # and this is what is told
    assert run_id is not None
    assert caplog.text.count("did not take the end of run") == 1


def test_no_run_is_called_lost_because_a_server_is_away(
    away: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_lost([away, "0" * 32]) == set()
    assert "did not take the question which runs are still there" in caplog.text


@pytest.fixture
def server(empty_tables: Path, tmp_path: Path) -> Iterator[str]:
    """A real tracking server on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    (tmp_path / "server.db").write_bytes(empty_tables.read_bytes())
    log = (tmp_path / "server.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            with suppress(OSError):
                urlopen(f"{address}/health", timeout=1).close()
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_server_shows_folds_with_their_gap_as_columns(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    mlflow.set_tracking_uri(server)
    mlflow.set_experiment("receipts")
    picture = tmp_path / "history.png"
    picture.write_bytes(b"picture")
    with mlflow.start_run():
        place_run("lite0", "train", None, {})
        for fold in range(2):
            with fold_run(f"fold_{fold}", "lite0") as run_id:
                assert run_id is not None
                log_figures(run_id, {"val_hmean": 0.9618, "holdout_hmean": 0.9611})
                MlflowClient().log_artifact(run_id, str(picture))
            log_figures(run_id, {"leaderboard_hmean": 0.9625, "gap": 0.0007})
    FOLD_RUNS.clear()
    table: Any = mlflow.search_runs(filter_string="tags.role = 'fold'")
    assert sorted(table["tags.fold"]) == ["0", "1"]
    wanted = {"val_hmean": 0.9618, "holdout_hmean": 0.9611, "leaderboard_hmean": 0.9625}
    for name, value in (wanted | {"gap": 0.0007}).items():
        assert table[f"metrics.{name}"].tolist() == [value, value]
    assert table[f"tags.{PARENT}"].nunique() == 1
    copied = MlflowClient().list_artifacts(table["run_id"].iloc[0])
    assert [file.path for file in copied] == ["history.png"]


def test_roles_are_of_pipelines_that_exist() -> None:
    assert ROLES.keys() <= register_pipelines().keys()
