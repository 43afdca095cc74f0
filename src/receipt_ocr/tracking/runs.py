"""Runs in MLflow: place the active run, open runs of folds, log figures."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from receipt_ocr.identity import fold_name
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.tracking.layout import (
    EXPERIMENT,
    FAILED,
    FINISHED,
    FOLD,
    PARENT,
    ROLE,
    ROLES,
    find_parent,
    is_tracked,
    name_run,
    open_child,
    warn_if_away,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

OF_SCORES = ("leaderboard", "test truth")
"""Roles of runs that only record a score of a submission."""

FOLD_RUNS: dict[str, str] = {}
"""Name of a fold's work folder -> id of the run that trained it in this session."""

INHERITED = ("data.", "environment.", "git.", "mlflow.source.git")
"""Beginnings of the tags that a fold's run takes over from the whole run."""

UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Answers of a tracking server that has no such run, or where no run can have such an id."""


def place_run(experiment: str, pipeline: str, fold: int | None, tags: Mapping[str, str]) -> None:
    """Give the active run its tags, its name, and its experiment's run as parent.

    ``experiment`` is a name, or ``name@view``; ``fold`` is None unless the pipeline is of one fold.
    """
    import mlflow

    run, role = mlflow.active_run(), ROLES.get(pipeline, pipeline)
    if run is None:
        return
    own = {**tags, ROLE: role} | ({} if fold is None else {FOLD: str(fold)})
    with warn_if_away("the place of the run"):
        _move(run, experiment, own, {pipeline: name_run(experiment, role, fold)})


def place_score(experiment: str) -> None:
    """Put the active run below the experiment whose submission it scores.

    The settings may select another one. A run that does more than record a score stays where it is.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    active = mlflow.active_run()
    if active is None:
        return
    with warn_if_away("the place of the run"):
        run = MlflowClient().get_run(active.info.run_id)
        role, earlier = run.data.tags.get(ROLE, ""), run.data.tags.get(EXPERIMENT, "")
        if role in OF_SCORES and earlier != experiment:
            names = {name_run(earlier, role, None): name_run(experiment, role, None)}
            _move(run, experiment, {}, names)


def _move(run: "Run", experiment: str, tags: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Put the active run below an experiment's.

    ``names`` maps a name that the run has only by default to the name that replaces it.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    own = {**tags, EXPERIMENT: experiment}
    own[PARENT] = find_parent(MlflowClient(), run.info.experiment_id, experiment)
    if run.info.run_name in names:
        own["mlflow.runName"] = names[run.info.run_name]
    mlflow.set_tags(own)


@contextmanager
def fold_run(fold: str, experiment: str) -> Iterator[str | None]:
    """Open the MLflow run for a fold's figures, and note it in :data:`FOLD_RUNS`.

    If the active run trains only this fold, it is the active run. If one Kedro run trains several
    folds, it is a new run with the active run's parameters and tags of data and code. If no new one
    can be opened, the active one serves.

    Args:
        fold: Name of its work folder, ``fold_3`` or ``final``.
        experiment: Name under ``experiments.variants``.

    Yields:
        Its id; None if no MLflow run is active, as in a test that runs a node alone.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    active = mlflow.active_run()
    if active is None:
        FOLD_RUNS.pop(fold, None)
        yield None
        return
    client, own = MlflowClient(), None
    with warn_if_away(f"a run of {fold}"):
        own = _open_fold(client, active.info.run_id, fold, experiment)
    FOLD_RUNS[fold] = own or str(active.info.run_id)
    status = FAILED
    try:
        yield FOLD_RUNS[fold]
        status = FINISHED
    finally:
        if own is not None:
            with warn_if_away(f"the end of run {own}"):
                client.set_terminated(own, status)


def _open_fold(client: "MlflowClient", active_id: str, fold: str, experiment: str) -> str | None:
    """Open a sibling run with the active run's parameters and tags; None if that is the fold's."""
    from mlflow.entities import Param, RunTag

    numbers = {fold_name(number): number for number in range(FOLD_COUNT)}
    number, active = numbers.get(fold), client.get_run(active_id)
    if number is None or active.data.tags.get(ROLE, "fold") == "fold":
        return None
    name = name_run(experiment, "fold", number)
    own = open_child(client, active.info.experiment_id, experiment, number, name)
    with warn_if_away(f"parameters and tags of {fold}"):
        known = active.data.tags.items()
        tags = [RunTag(key, value) for key, value in known if key.startswith(INHERITED)]
        params = [Param(key, value) for key, value in active.data.params.items()]
        client.log_batch(own, params=params, tags=tags)
    return own


def log_figures(
    run_id: str, figures: Mapping[str, float | None], tags: Mapping[str, str] | None = None
) -> bool:
    """Write figures and tags into a run that may have ended long ago; a figure of None is left out.

    Returns:
        Whether the run took them; a warning names a run that is gone or a server that is away.
    """
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    known = {name: float(value) for name, value in figures.items() if value is not None}
    with warn_if_away(f"{', '.join(known)} of run {run_id}"):
        client = MlflowClient()
        if client.get_run(run_id).info.lifecycle_stage == "deleted":
            raise MlflowException("it was deleted")
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in known.items()],
            tags=[RunTag(name, text) for name, text in (tags or {}).items()],
        )
        return True
    return False


def log_active(figures: Mapping[str, float | None]) -> None:
    """Write figures into the active run, if there is one; None is left out."""
    import mlflow

    run = mlflow.active_run()
    if run is not None:
        log_figures(run.info.run_id, figures)


def log_experiment(experiment: str, figures: Mapping[str, float | None]) -> None:
    """Write figures into the run that stands for an experiment, if MLflow is in use."""
    import mlflow
    from mlflow.tracking import MlflowClient

    run = mlflow.active_run()
    if run is not None:
        with warn_if_away(f"the figures of {experiment}"):
            log_figures(find_parent(MlflowClient(), run.info.experiment_id, experiment), figures)


def find_lost(run_ids: Iterable[str]) -> set[str]:
    """Find the runs that the tracking server says it no longer has.

    Empty if MLflow is not in use, or if the server does not answer, which is warned of.
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
