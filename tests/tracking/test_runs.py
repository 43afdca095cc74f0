"""Where runs lie in MLflow, with a database file and with a server of its own."""

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


def test_an_experiment_has_one_run(client: MlflowClient, mlflow_experiment: str) -> None:
    first, again, flips = (
        find_parent(client, mlflow_experiment, name) for name in ("lite0", "lite0", "lite0@flips")
    )
    assert first == again != flips
    run = client.get_run(first)
    assert (run.info.run_name, run.info.status) == ("lite0", "FINISHED")
    assert run.data.tags["role"] == "experiment"


@pytest.mark.parametrize(
    ("placed", "scored", "expected"),
    [
        (("tuning", "tuning", None), None, ("lite0 tuning", "lite0", "tuning")),
        (("mine", "train_fold", 3), None, ("mine", "lite0", "fold")),  # a name that was given stays
        (
            ("score_submission", "score_submission", None),
            *("wide@flips", ("wide@flips test truth", "wide@flips", "test truth")),
        ),
        (("mine", "leaderboard", None), "wide", ("mine", "wide", "leaderboard")),
        # This one has made the submission, too.
        (("mine", "ensemble+leaderboard", None), "wide", ("mine", "lite0", "ensemble+leaderboard")),
    ],
)
def test_a_run_is_put_below_its_experiment_or_the_one_that_it_scores(
    client: MlflowClient,
    mlflow_experiment: str,
    placed: tuple[str, str, int | None],
    scored: str | None,
    expected: tuple[str, str, str],
) -> None:
    name, pipeline, fold = placed
    with mlflow.start_run(run_name=name) as run:
        place_run("lite0", pipeline, fold, {"data.pages": "0123"})
        if scored is not None:
            place_score(scored)
    run = client.get_run(run.info.run_id)
    tags = run.data.tags
    assert (run.info.run_name, tags["experiment"], tags["role"]) == expected
    assert tags[PARENT] == find_parent(client, mlflow_experiment, tags["experiment"])
    assert tags["data.pages"] == "0123"
    assert tags.get("fold") == (None if fold is None else str(fold))


def test_a_fold_of_its_own_run_logs_there(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        place_run("lite0", "train_fold", 2, {})
        with fold_run("fold_2", "lite0") as run_id:
            assert run_id == run.info.run_id
    assert {"fold_2": run.info.run_id} == FOLD_RUNS


def test_folds_of_one_run_get_runs_of_their_own(
    client: MlflowClient, mlflow_experiment: str
) -> None:
    with mlflow.start_run() as run:
        place_run("lite0", "train", None, {})
        with fold_run("fold_0", "lite0") as first:
            log_figures(str(first), {"val_hmean": 0.5})
        with pytest.raises(KeyError), fold_run("fold_1", "lite0") as second:
            raise KeyError("the fold fails")
    assert len({run.info.run_id, first, second}) == 3
    assert {"fold_0": first, "fold_1": second} == FOLD_RUNS
    trained, failed = client.get_run(first), client.get_run(str(second))
    assert (trained.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert trained.data.metrics == {"val_hmean": 0.5}
    assert trained.data.tags[PARENT] == find_parent(client, mlflow_experiment, "lite0")
    assert [one.data.tags["fold"] for one in (trained, failed)] == ["0", "1"]


def test_a_fold_beside_others_is_told_of_settings_data_and_code(client: MlflowClient) -> None:
    params = {f"recipe.value_{number}": str(number) for number in range(230)}
    known = {"data.pages": "0123", "environment.torch": "2.7.0", "git.changed": "false"}
    known["mlflow.source.git.commit"] = "a" * 40
    with mlflow.start_run():
        place_run("lite0", "train", None, {**known, "note": "of the whole run"})
        mlflow.log_params(params)
        with fold_run("fold_0", "lite0") as own:
            pass
    trained = client.get_run(str(own))
    assert trained.data.params == params
    assert trained.data.tags.items() >= known.items()
    assert "note" not in trained.data.tags
    assert (trained.data.tags["role"], trained.info.run_name) == ("fold", "lite0 fold 0")


def test_without_mlflow_nothing_is_logged() -> None:
    FOLD_RUNS["fold_0"] = "of an earlier session"
    place_run("lite0", "tuning", None, {})
    place_score("wide")
    with fold_run("fold_0", "lite0") as run_id:
        assert run_id is None
    assert FOLD_RUNS == {}
    log_active({"hmean": 0.5})
    log_experiment("lite0", {"hmean": 0.5})
    assert find_lost(["0123"]) == set()


def test_figures_reach_runs_that_have_ended(client: MlflowClient, mlflow_experiment: str) -> None:
    run_id = open_child(client, mlflow_experiment, "lite0", 0, "lite0 fold 0")
    client.set_terminated(run_id)
    assert log_figures(run_id, {"leaderboard_hmean": 0.9625}, {"note": "late"})
    run = client.get_run(run_id)
    assert run.data.metrics == {"leaderboard_hmean": 0.9625}
    assert run.data.tags["note"] == "late"
    assert run.info.status == "FINISHED"
    with mlflow.start_run() as active:
        log_active({"gap": 0.25, "holdout_gap": None})
        log_experiment("lite0", {"gap": 0.25, "holdout_gap": None})
    for reached in (active.info.run_id, find_parent(client, mlflow_experiment, "lite0")):
        assert client.get_run(reached).data.metrics == {"gap": 0.25}


def test_a_run_that_is_gone_is_told(
    client: MlflowClient, mlflow_experiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, kept = (
        open_child(client, mlflow_experiment, "lite0", fold, f"lite0 fold {fold}")
        for fold in (0, 1)
    )
    client.delete_run(run_id)
    for lost in (run_id, "0" * 32):
        assert not log_figures(lost, {"gap": 0.25})
        assert f"did not take gap of run {lost}" in caplog.text
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
        f"did not take gap of run {away}",
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
    process = subprocess.Popen(command, stdout=log, stderr=log)
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
