"""What a run of the project does in MLflow: it takes its place, opens folds' runs, logs figures."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from receipt_ocr.tracking.layout import (
    EXPERIMENT,
    FAILED,
    FINISHED,
    FOLD,
    PARENT,
    ROLE,
    ROLES,
    find_parent,
    first_line,
    is_tracked,
    name_run,
    open_child,
    warn_if_away,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = [
    "FOLD_RUNS",
    "find_lost",
    "fold_run",
    "log_active",
    "log_experiment",
    "log_figures",
    "place_run",
    "place_score",
]

OF_SCORES = ("leaderboard", "test truth")
"""Roles of runs that are of nothing but a score of a submission."""

FOLD_RUNS: dict[str, str] = {}
"""Name of a fold's work folder -> id of the run that trained it in this session."""

INHERITED = ("data.", "environment.", "git.", "mlflow.source.git")
"""Beginnings of the tags that a fold's run takes over from the whole run."""

MOST_PARAMS = 100
"""That MLflow takes at once."""

UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What a tracking server answers where it has no such run, or where no run can have such an id."""

log = logging.getLogger(__name__)


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
    own = {EXPERIMENT: experiment, ROLE: ROLES.get(pipeline, pipeline)}
    if fold is not None:
        own[FOLD] = str(fold)
    if run.info.run_name == pipeline:  # nobody has named it
        own["mlflow.runName"] = name_run(experiment, own[ROLE], fold)
    with warn_if_away("the place of the run"):
        parent = find_parent(MlflowClient(), run.info.experiment_id, experiment)
        mlflow.set_tags({**tags, **own, PARENT: parent})


def place_score(experiment: str) -> None:
    """Put the active run below the experiment whose submission it scores.

    That need not be the one that the settings select. A run that does more than record a score
    stays where it is.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    active = mlflow.active_run()
    if active is None:
        return
    with warn_if_away("the place of the run"):
        client = MlflowClient()
        run = client.get_run(active.info.run_id)
        role, earlier = run.data.tags.get(ROLE, ""), run.data.tags.get(EXPERIMENT, "")
        if role not in OF_SCORES or earlier == experiment:
            return
        parent = find_parent(client, run.info.experiment_id, experiment)
        own = {EXPERIMENT: experiment, PARENT: parent}
        if run.info.run_name == name_run(earlier, role, None):  # nobody has named it
            own["mlflow.runName"] = name_run(experiment, role, None)
        mlflow.set_tags(own)


@contextmanager
def fold_run(fold: str, experiment: str) -> Iterator[str | None]:
    """The MLflow run that a fold's figures go to, noted in :data:`FOLD_RUNS`.

    That is the active run where the whole run is of this fold, and a new one beside it where one
    Kedro run trains several folds, with what the whole run knows of parameters, data and code.
    Where a new one cannot be opened, the active one serves.

    Args:
        fold: Name of its work folder, ``fold_3`` or ``final``.
        experiment: Name under ``experiments.variants``.

    Yields:
        Its id; None where no MLflow run is active, as in a test that runs a node alone.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    active = mlflow.active_run()
    if active is None:
        FOLD_RUNS.pop(fold, None)
        yield None
        return
    active_id, own = str(active.info.run_id), None
    with warn_if_away(f"a run of {fold}"):
        own = _open_fold(MlflowClient(), active_id, fold, experiment)
    FOLD_RUNS[fold] = own or active_id
    try:
        yield own or active_id
    except BaseException:
        _end_fold(own, FAILED)
        raise
    _end_fold(own, FINISHED)


def _open_fold(client: "MlflowClient", active_id: str, fold: str, experiment: str) -> str | None:
    """A run for a fold beside the active one, which it is like; None where that one is its own."""
    from mlflow.entities import Param, RunTag

    number, active = fold.removeprefix("fold_"), client.get_run(active_id)
    if not number.isdigit() or active.data.tags.get(ROLE, "fold") == "fold":
        return None
    name = name_run(experiment, "fold", int(number))
    own = open_child(client, active.info.experiment_id, experiment, int(number), name)
    with warn_if_away(f"parameters and tags of {fold}"):
        known = active.data.tags.items()
        tags = [RunTag(key, value) for key, value in known if key.startswith(INHERITED)]
        client.log_batch(own, tags=tags)
        params = [Param(key, value) for key, value in active.data.params.items()]
        for first in range(0, len(params), MOST_PARAMS):
            client.log_batch(own, params=params[first : first + MOST_PARAMS])
    return own


def _end_fold(own: str | None, status: str) -> None:
    from mlflow.tracking import MlflowClient

    if own is not None:
        with warn_if_away(f"the end of run {own}"):
            MlflowClient().set_terminated(own, status)


def log_figures(
    run_id: str, figures: Mapping[str, float], tags: Mapping[str, str] | None = None
) -> bool:
    """Write figures into a run that may have ended long ago.

    Args:
        run_id: Of the run.
        figures: Name -> value.
        tags: Further tags.

    Returns:
        Whether it took them; a run that is gone, and a server that is away, are warned of.
    """
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient()
        if client.get_run(run_id).info.lifecycle_stage == "deleted":
            raise MlflowException("it was deleted")
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in figures.items()],
            tags=[RunTag(name, text) for name, text in (tags or {}).items()],
        )
    except (MlflowException, OSError) as error:
        names, why = ", ".join(figures), first_line(error)
        log.warning("MLflow run %s did not get %s: %s", run_id, names, why)
        return False
    return True


def find_lost(run_ids: Iterable[str]) -> set[str]:
    """Which of these runs the tracking server no longer has.

    Only what the server itself says counts: none where it does not answer, which is warned of, and
    none where MLflow is not in use.
    """
    from mlflow.tracking import MlflowClient

    lost: set[str] = set()
    if is_tracked():
        with warn_if_away("the question which runs are still there"):
            client = MlflowClient()
            lost.update(run_id for run_id in sorted(set(run_ids)) if _is_lost(client, run_id))
    return lost


def _is_lost(client: "MlflowClient", run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "deleted")
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            return True
        raise


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
        with warn_if_away(f"the figures of {experiment}"):
            parent = find_parent(MlflowClient(), run.info.experiment_id, experiment)
            log_figures(parent, _known(figures))


def _known(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
