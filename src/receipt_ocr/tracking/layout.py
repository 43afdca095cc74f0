"""Layout of runs in MLflow: one parent run an experiment, below it folds, tunings, ensembles.

The MLflow experiment is the data set (``mlflow.yml`` names it), so that the runs in one table have
seen the same pages. Within it, a run tagged ``role: experiment`` stands for each of
``experiments.variants``; every other run names that one as its parent.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

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
    "score_submission": "test truth",
    "train": "folds",
    "__default__": "whole way",
}
"""Pipeline -> the tag ``role`` of its runs."""

log = logging.getLogger(__name__)


def find_parent(client: "MlflowClient", mlflow_experiment: str, experiment: str) -> str:
    """Find the run that stands for an experiment, or make it; return its id.

    ``mlflow_experiment`` is the id of the MLflow experiment, which is the data set; ``experiment``
    is a name, or ``name@view``.
    """
    wanted = f"tags.{ROLE} = 'experiment' and tags.{EXPERIMENT} = '{experiment}'"
    order = ["attributes.start_time ASC"]  # of two that were made at once all take the first
    search = partial(client.search_runs, [mlflow_experiment], wanted, order_by=order, max_results=1)
    found = list(search())
    if not found:
        own = _with_user({ROLE: "experiment", EXPERIMENT: experiment})
        run = client.create_run(mlflow_experiment, tags=own, run_name=experiment)
        client.set_terminated(run.info.run_id, FINISHED)  # it holds no work of its own
        found = list(search()) or [run]
    return str(found[0].info.run_id)


def open_child(
    client: "MlflowClient", mlflow_experiment: str, experiment: str, fold: int, name: str
) -> str:
    """Open a new run for a fold's training, below its experiment's run; return its id."""
    parent = find_parent(client, mlflow_experiment, experiment)
    tags = {PARENT: parent, ROLE: "fold", EXPERIMENT: experiment, FOLD: str(fold)}
    run = client.create_run(mlflow_experiment, tags=_with_user(tags), run_name=name)
    return str(run.info.run_id)


@contextmanager
def warn_if_away(what: str) -> Iterator[None]:
    """Warn if the tracking server does not take ``what``: a missing note costs no result."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0]  # without the advice below
        log.warning("MLflow did not take %s: %s", what, reason)


def is_tracked() -> bool:
    """Whether MLflow is in use: a run is active."""
    import mlflow

    return mlflow.active_run() is not None


def name_run(experiment: str, role: str, fold: int | None) -> str:
    """Name a run for people: ``lite0 fold 3``, ``lite0 tuning``."""
    return f"{experiment} {role}" + ("" if fold is None else f" {fold}")


def _with_user(tags: Mapping[str, Any]) -> dict[str, str]:
    """Add the tags that every run has: user and source."""
    from mlflow.tracking.context.registry import resolve_tags

    with suppress(OSError):
        return dict(resolve_tags(dict(tags)))
    return dict(tags)
