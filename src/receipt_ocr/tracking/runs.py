"""What a run does in MLflow: it takes its place, opens runs of folds, and logs figures."""

import logging
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
    first_line,
    is_tracked,
    name_run,
    open_child,
    warn_if_away,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
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
"""Roles of runs that only record a score of a submission."""

FOLDS = {fold_name(number): number for number in range(FOLD_COUNT)}

FOLD_RUNS: dict[str, str] = {}
"""Name of a fold's work folder -> id of the run that trained it in this session."""

INHERITED = ("data.", "environment.", "git.", "mlflow.source.git")
"""Beginnings of the tags that a fold's run takes over from the whole run."""

MOST_PARAMS = 100
"""Parameters that MLflow takes at once."""

UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Answers of a tracking server that has no such run, or where no run can have such an id."""

log = logging.getLogger(__name__)


def place_run(experiment: str, pipeline: str, fold: int | None, tags: Mapping[str, str]) -> None:
    """Put the active run in its place: tags, name, parent.

    Args:
        experiment: Name, or ``name@view``.
        pipeline: Name of the pipeline that is run.
        fold: Its fold, if it is a pipeline of one fold.
        tags: Further ones.
    """
    import mlflow

    run, role = mlflow.active_run(), ROLES.get(pipeline, pipeline)
    if run is None:
        return
    of_fold = {} if fold is None else {FOLD: str(fold)}
    with warn_if_away("the place of the run"):
        own = {**tags, ROLE: role, **of_fold}
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

    Args:
        run: The active run, as far as it is known.
        experiment: Name of the experiment.
        tags: Further tags.
        names: Name that nobody has given -> name to replace it.
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

    Where the whole run is of this fold, that is the active run. Where one Kedro run trains several
    folds, it is a new one beside the active one, with the same parameters and tags of data and
    code. Where a new one cannot be opened, the active one serves.

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

    number, active = FOLDS.get(fold), client.get_run(active_id)
    if number is None or active.data.tags.get(ROLE, "fold") == "fold":
        return None
    name = name_run(experiment, "fold", number)
    own = open_child(client, active.info.experiment_id, experiment, number, name)
    with warn_if_away(f"parameters and tags of {fold}"):
        known = active.data.tags.items()
        tags = [RunTag(key, value) for key, value in known if key.startswith(INHERITED)]
        client.log_batch(own, tags=tags)
        params = [Param(key, value) for key, value in active.data.params.items()]
        for first in range(0, len(params), MOST_PARAMS):
            client.log_batch(own, params=params[first : first + MOST_PARAMS])
    return own


def log_figures(
    run_id: str, figures: Mapping[str, float | None], tags: Mapping[str, str] | None = None
) -> bool:
    """Write figures into a run that may have ended long ago.

    Args:
        run_id: Of the run.
        figures: Name -> value; None is left out.
        tags: Further tags.

    Returns:
        Whether it took them; a run that is gone, and a server that is away, are warned of.
    """
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    known = {name: float(value) for name, value in figures.items() if value is not None}
    try:
        client = MlflowClient()
        if client.get_run(run_id).info.lifecycle_stage == "deleted":
            raise MlflowException("it was deleted")
        now = int(time.time() * 1000)
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in known.items()],
            tags=[RunTag(name, text) for name, text in (tags or {}).items()],
        )
    except (MlflowException, OSError) as error:
        names, why = ", ".join(known), first_line(error)
        log.warning("MLflow run %s did not get %s: %s", run_id, names, why)
        return False
    return True


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
    """Find the runs that the tracking server no longer has.

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
