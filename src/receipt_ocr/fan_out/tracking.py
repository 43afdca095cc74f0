"""One MLflow run that all folds of a command belong to, and one below it for each fold."""

import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from receipt_ocr.fan_out.plan import PIPELINE, Fold

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from mlflow.tracking import MlflowClient

__all__ = ["FanOutRuns", "open_runs"]

log = logging.getLogger(__name__)

FINISHED, FAILED, KILLED, SCHEDULED = "FINISHED", "FAILED", "KILLED", "SCHEDULED"


class FanOutRuns:
    """The parent run and its children.

    A run that cannot be opened or closed, because the server is away, is warned of: it costs no
    training.
    """

    def __init__(
        self, client: "MlflowClient", experiment: str, name: str, tags: Mapping[str, str]
    ) -> None:
        """Create the parent run.

        Args:
            client: Of the tracking server.
            experiment: Id of the MLflow experiment.
            name: Of the parent run.
            tags: Of the parent run.
        """
        self._client = client
        self._experiment = experiment
        parent = client.create_run(experiment, tags=_common_tags(tags), run_name=name)
        self.parent: str = parent.info.run_id
        """Id of the parent run."""
        self._children: dict[str, str] = {}

    def open(self, fold: Fold) -> str | None:
        """Id of the fold's run, created when it is asked for first; a retry gets the same.

        None where it could not be created: the fold then opens one of its own.
        """
        from mlflow.exceptions import MlflowException

        if fold.name not in self._children:
            own = {
                "mlflow.parentRunId": self.parent,
                "experiment": fold.experiment,
                "fold": str(fold.number),
            }
            try:
                run = self._client.create_run(
                    self._experiment, tags=_common_tags(own), run_name=fold.name
                )
                self._children[fold.name] = run.info.run_id
                self._client.update_run(run.info.run_id, status=SCHEDULED)
            except MlflowException as error:
                log.warning("%s has no run below %s: %s", fold.name, self.parent, error)
        return self._children.get(fold.name)

    def end(self, fold: Fold, *, has_failed: bool) -> None:
        """Note how a fold ended for good."""
        run = self._children.pop(fold.name, None)
        if run is not None:
            self._terminate(run, FAILED if has_failed else FINISHED)

    def close(self, *, has_failed: bool, was_stopped: bool) -> None:
        """Note how all went; the runs of folds that have not ended are noted as stopped."""
        for run in self._children.values():
            self._terminate(run, KILLED)
        self._children.clear()
        status = KILLED if was_stopped else FAILED if has_failed else FINISHED
        self._terminate(self.parent, status)

    def _terminate(self, run: str, status: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_terminated(run, status)
        except MlflowException as error:
            log.warning("MLflow run %s was not closed as %s: %s", run, status, error)


def open_runs(context: "KedroContext", folds: Sequence[Fold], command: str) -> FanOutRuns | None:
    """The parent run, where ``mlflow.yml`` wants it.

    Args:
        context: Of the project; its hooks have read ``mlflow.yml``.
        folds: That are to be trained.
        command: That was typed.

    Returns:
        None where the project does not use kedro-mlflow, or not for training.
    """
    config: Any = getattr(context, "mlflow", None)
    if config is None or PIPELINE in (config.tracking.disable_tracking.pipelines or ()):
        return None
    from mlflow.tracking import MlflowClient

    client = MlflowClient()  # at the address that the hook has set
    experiment = client.get_experiment_by_name(config.tracking.experiment.name)
    assert experiment is not None  # the hook has made it
    names = list(dict.fromkeys(fold.experiment for fold in folds))
    numbers = sorted({fold.number for fold in folds})
    tags = {
        "experiments": ",".join(names),
        "folds": ",".join(map(str, numbers)),
        "command": command,
    }
    commit = _commit(context.project_path)
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit
    name = f"{', '.join(names)}: {len(folds)} folds"
    return FanOutRuns(client, experiment.experiment_id, name, tags)


def _common_tags(tags: Mapping[str, str]) -> dict[str, str]:
    from mlflow.tracking.context.registry import resolve_tags  # user and source, as in other runs

    resolved: dict[str, str] = resolve_tags(dict(tags))
    return resolved


def _commit(project: Path) -> str | None:
    """The git commit that is checked out; None outside a repository."""
    command = ["git", "-C", str(project), "rev-parse", "HEAD"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()
