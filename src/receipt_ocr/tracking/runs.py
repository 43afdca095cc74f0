"""How runs lie in MLflow: one parent run an experiment, below it folds, tunings, ensembles.

The MLflow experiment is the data set (``mlflow.yml`` names it), so that the runs in one table have
seen the same pages. Within it, a run tagged ``role: experiment`` stands for each experiment of
``parameters.yml``; every other run names that one as its parent.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = [
    "FINISHED",
    "FOLD_RUNS",
    "PARENT",
    "find_lost",
    "find_parent",
    "fold_run",
    "log_active",
    "log_experiment",
    "log_figures",
    "open_child",
    "place_run",
]

PARENT, ROLE, EXPERIMENT, FOLD = "mlflow.parentRunId", "role", "experiment", "fold"
FINISHED, FAILED = "FINISHED", "FAILED"
ROLES = {
    "train_fold": "fold",
    "predict_fold": "prediction",
    "final_fit": "final fit",
    "tuning": "tuning",
    "ensemble": "ensemble",
    "submission": "submission",
    "reporting": "report",
    "leaderboard": "leaderboard",
    "score_submission": "leaderboard",
    "train": "folds",
    "__default__": "whole way",
}
"""Pipeline -> what its run is called in the tag ``role``."""

FOLD_RUNS: dict[str, str] = {}
"""Name of a fold's work folder -> id of the run that trained it in this process."""

log = logging.getLogger(__name__)


def find_parent(client: "MlflowClient", mlflow_experiment: str, experiment: str) -> str:
    """Id of the run that stands for an experiment, made where there is none yet.

    Args:
        client: Of the tracking server.
        mlflow_experiment: Id of the MLflow experiment, which is the data set.
        experiment: Name under ``experiments.variants``.
    """
    wanted = f"tags.{ROLE} = 'experiment' and tags.{EXPERIMENT} = '{experiment}'"
    order = ["attributes.start_time ASC"]  # of two that were made at once all take the first
    found = client.search_runs([mlflow_experiment], wanted, order_by=order, max_results=1)
    if not found:
        own = _with_user({ROLE: "experiment", EXPERIMENT: experiment})
        run = client.create_run(mlflow_experiment, tags=own, run_name=experiment)
        client.set_terminated(run.info.run_id, FINISHED)  # it holds no work of its own
        again = client.search_runs([mlflow_experiment], wanted, order_by=order, max_results=1)
        return str(again[0].info.run_id if again else run.info.run_id)
    run_id: str = found[0].info.run_id
    return run_id


def open_child(
    client: "MlflowClient", mlflow_experiment: str, experiment: str, fold: int, name: str
) -> str:
    """Id of a new run for a fold's training, below its experiment's run."""
    tags = {
        PARENT: find_parent(client, mlflow_experiment, experiment),
        ROLE: "fold",
        EXPERIMENT: experiment,
        FOLD: str(fold),
    }
    run = client.create_run(mlflow_experiment, tags=_with_user(tags), run_name=name)
    run_id: str = run.info.run_id
    return run_id


def place_run(experiment: str, pipeline: str, fold: int | None, tags: Mapping[str, str]) -> None:
    """Put the active run in its place: tags, name, parent.

    Args:
        experiment: Name, or ``name@augmentation``.
        pipeline: That is being run.
        fold: Of a pipeline of one fold.
        tags: Further ones.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    run = mlflow.active_run()
    if run is None:
        return
    client, own = MlflowClient(), {EXPERIMENT: experiment, ROLE: ROLES.get(pipeline, pipeline)}
    if fold is not None:
        own[FOLD] = str(fold)
    parent = find_parent(client, run.info.experiment_id, experiment)
    if run.info.run_name == pipeline:  # nobody has named it
        own["mlflow.runName"] = _name(experiment, own[ROLE], fold)
    mlflow.set_tags({**tags, **own, PARENT: parent})


@contextmanager
def fold_run(fold: str, experiment: str) -> Iterator[str | None]:
    """The MLflow run that a fold's figures go to, noted in :data:`FOLD_RUNS`.

    That is the active run where the whole run is of this fold, and a new one beside it where one
    Kedro run trains several folds.

    Args:
        fold: Name of its work folder, ``fold_3`` or ``final``.
        experiment: Name under ``experiments.variants``.

    Yields:
        Its id; None where no MLflow run is active, as in a test that runs a node alone.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    run = mlflow.active_run()
    if run is None:
        yield None
        return
    client, number = MlflowClient(), fold.removeprefix("fold_")
    role = client.get_run(run.info.run_id).data.tags.get(ROLE, "fold")
    if not number.isdigit() or role == "fold":
        FOLD_RUNS[fold] = run.info.run_id
        yield run.info.run_id
        return
    name = _name(experiment, "fold", int(number))
    own = open_child(client, run.info.experiment_id, experiment, int(number), name)
    FOLD_RUNS[fold] = own
    try:
        yield own
    except BaseException:
        client.set_terminated(own, FAILED)
        raise
    client.set_terminated(own, FINISHED)


def log_figures(
    run_id: str, figures: Mapping[str, float], tags: Mapping[str, str] | None = None
) -> bool:
    """Write figures into a run that may have ended long ago.

    Args:
        run_id: Of the run.
        figures: Name -> value.
        tags: Further tags.

    Returns:
        Whether the run is still there; a deleted or unknown one is warned of.
    """
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    try:
        if client.get_run(run_id).info.lifecycle_stage == "deleted":
            raise MlflowException("it was deleted")
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in figures.items()],
            tags=[RunTag(name, text) for name, text in (tags or {}).items()],
        )
    except MlflowException as error:
        first = str(error).partition("\n")[0]
        log.warning("MLflow run %s did not get %s: %s", run_id, ", ".join(figures), first)
        return False
    return True


def _name(experiment: str, role: str, fold: int | None) -> str:
    return f"{experiment} {role}" + ("" if fold is None else f" {fold}")


def _with_user(tags: Mapping[str, Any]) -> dict[str, str]:
    """The tags that every run has: user and source."""
    from mlflow.tracking.context.registry import resolve_tags

    with suppress(OSError):
        resolved: dict[str, str] = resolve_tags(dict(tags))
        return resolved
    return dict(tags)


def find_lost(run_ids: Iterable[str]) -> set[str]:
    """Which of these runs the tracking server no longer has; none where MLflow is not in use."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    if mlflow.active_run() is None:
        return set()
    client, lost = MlflowClient(), set()
    for run_id in set(run_ids):
        try:
            if client.get_run(run_id).info.lifecycle_stage == "deleted":
                lost.add(run_id)
        except MlflowException:
            lost.add(run_id)
    return lost


def log_active(figures: Mapping[str, float | None]) -> None:
    """Write figures into the active run, if there is one; None is left out."""
    import mlflow

    run = mlflow.active_run()
    if run is not None:
        log_figures(run.info.run_id, _known(figures))


def log_experiment(experiment: str, figures: Mapping[str, float | None]) -> None:
    """Write figures into the run that stands for an experiment, if MLflow is in use."""
    import mlflow
    from mlflow.tracking import MlflowClient

    run = mlflow.active_run()
    if run is not None:
        parent = find_parent(MlflowClient(), run.info.experiment_id, experiment)
        log_figures(parent, _known(figures))


def _known(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
