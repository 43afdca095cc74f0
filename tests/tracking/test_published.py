"""MLflow runs that the scores of an ensemble and of a leaderboard reach."""

from types import SimpleNamespace
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.datasets.records import Records
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.settings import Experiments, Recipe
from receipt_ocr.detector.tta_settings import TtaSettings, TtaVariants
from receipt_ocr.pipelines.ensemble.nodes import publish_scores
from receipt_ocr.pipelines.leaderboard.nodes import record_leaderboard
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    SubmissionMember,
    SubmissionRecord,
    Voting,
)
from receipt_ocr.tracking.layout import PARENT, find_parent
from receipt_ocr.tracking.runs import place_run

MINE = Experiments(selected="lite0", recipe=Recipe(), variants={"lite0": {}, "b3": {}})
VIEWS = {"none": TtaSettings(), "flips": TtaSettings(flips=("horizontal",))}
MEMBERS = ["fold_0", "b3/fold_0", "lite0@flips/fold_0", "lite0/fold_1"]
SCORES = pd.DataFrame(
    [(member, "out_of_fold", 0.5, 0.5, 0.1 * place) for place, member in enumerate(MEMBERS, 5)]
    + [("ensemble", "holdout", 0.5, 0.5, 0.9)],
    columns=["member", "subset", "recall", "precision", "hmean"],
)


@pytest.fixture
def runs(client: MlflowClient, mlflow_experiment: str) -> dict[str, str]:
    """Experiment and fold -> id of the run that trained it."""
    names = ("lite0/0", "lite0/1", "b3/0")
    return {name: client.create_run(mlflow_experiment).info.run_id for name in names}


def metrics(client: MlflowClient, runs: dict[str, str]) -> dict[str, dict[str, float]]:
    return {name: client.get_run(run).data.metrics for name, run in runs.items()}


def publish(runs: dict[str, str]) -> None:
    tta = TtaVariants(selected="none", variants=VIEWS)
    voting = Voting(names=tuple(MEMBERS), weights=(0.25,) * 4, sources={}, mean="probability")
    chosen = ChosenPostprocess(source="recipe", postprocess=PostprocessSettings(), members=voting)
    find_run = lambda experiment, fold: runs.get(f"{experiment}/{fold}")  # noqa: E731
    publish_scores(MINE, tta, chosen, SCORES, SimpleNamespace(training_run=find_run))  # type: ignore[arg-type]


def test_an_ensemble_leaves_the_figures_of_external_members_alone(
    client: MlflowClient, runs: dict[str, str]
) -> None:
    with mlflow.start_run() as active:
        publish(runs)
    found = metrics(client, runs)
    assert found["lite0/0"]["out_of_fold_hmean"] == pytest.approx(0.5)  # and not that of flips
    assert found["lite0/1"]["out_of_fold_hmean"] == pytest.approx(0.8)
    assert found["b3/0"] == {}
    parent = find_parent(client, active.info.experiment_id, "lite0")
    for run in (active.info.run_id, parent):
        assert client.get_run(run).data.metrics["holdout_hmean"] == pytest.approx(0.9)


def test_without_a_run_no_server_is_asked(
    client: MlflowClient, runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("MLflow is not in use")

    for name in ("get_run", "log_batch", "search_runs", "create_run"):
        monkeypatch.setattr(MlflowClient, name, refuse)
    publish(runs)
    assert tell(runs, "lite0").hmean == 0.75


def tell(runs: dict[str, str], experiment: str) -> LeaderboardScore:
    """What the leaderboard says of a submission of an experiment, with a plain external member."""
    known: dict[str, Any] = {"validation_hmean": 0.5, "holdout_hmean": None}
    members = {"fold_0": runs["lite0/0"], "b3/fold_0": runs["b3/0"]}
    submission = SubmissionRecord(
        made="2026-01-02T03:04:05Z",
        submission="s1",
        experiment=experiment,
        members=tuple(SubmissionMember(name=n, run_id=run, **known) for n, run in members.items()),
        **known,
    )
    said = record_leaderboard(LeaderboardSettings(hmean=0.75), "s1", Records({"s1": submission}))
    return said["s1"]


def test_a_score_of_flipped_pages_stands_beside_that_of_plain_ones(
    client: MlflowClient, runs: dict[str, str]
) -> None:
    with mlflow.start_run(run_name="leaderboard") as active:
        place_run("b3", "leaderboard", None, {})
        tell(runs, "lite0@flips")
    own = {"leaderboard_hmean": 0.75, "gap": 0.25}
    found = metrics(client, runs)
    assert found["lite0/0"] == {f"flips/{name}": value for name, value in own.items()}
    assert found["b3/0"] == own  # it has looked at the pages once
    assert client.get_run(active.info.run_id).info.run_name == "lite0@flips leaderboard"
    parent = find_parent(client, active.info.experiment_id, "lite0@flips")
    assert client.get_run(active.info.run_id).data.tags[PARENT] == parent
    for run in (active.info.run_id, parent):
        assert client.get_run(run).data.metrics == own
