"""The MLflow runs of the folds of a command, below the runs of their experiments."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from receipt_ocr.fan_out.plan import PIPELINE, Fold
from receipt_ocr.tracking.environment import describe_environment
from receipt_ocr.tracking.layout import FAILED, FINISHED, find_parent, open_child

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from mlflow.tracking import MlflowClient

__all__ = ["FanOutRuns", "open_runs"]

log = logging.getLogger(__name__)

KILLED, SCHEDULED = "KILLED", "SCHEDULED"


class FanOutRuns:
    """The runs of the experiments that are trained, and those of their folds.

    A run that cannot be opened or closed, because the server is away, is warned of: it costs no
    training.
    """

    def __init__(
        self,
        client: "MlflowClient",
        mlflow_experiment: str,
        folds: Sequence[Fold],
        tags: Mapping[str, str],
    ) -> None:
        """Find the run of each experiment, and note on it what is about to be trained.

        Args:
            client: Of the tracking server.
            mlflow_experiment: Id of the MLflow experiment, which is the data set.
            folds: That are to be trained.
            tags: Of the experiments' runs.
        """
        self._client = client
        self._mlflow_experiment = mlflow_experiment
        self.parents: dict[str, str] = {}
        """Experiment -> id of its run."""
        for name in dict.fromkeys(fold.experiment for fold in folds):
            self.parents[name] = find_parent(client, mlflow_experiment, name)
            numbers = {fold.number for fold in folds if fold.experiment == name}
            numbers |= self._folds_before(self.parents[name])
            own = {**tags, "folds": ",".join(map(str, sorted(numbers)))}
            for key, value in own.items():
                client.set_tag(self.parents[name], key, value)
            client.update_run(self.parents[name], status="RUNNING")
        self._children: dict[str, str] = {}
        self._waiting = {fold.name: fold.experiment for fold in folds}
        self._failed: set[str] = set()

    def open(self, fold: Fold) -> str | None:
        """Id of the fold's run, created when it is asked for first; a retry gets the same.

        None where it could not be created: the fold then opens one of its own.
        """
        from mlflow.exceptions import MlflowException

        if fold.name not in self._children:
            try:
                run_id = open_child(
                    self._client, self._mlflow_experiment, fold.experiment, fold.number, fold.name
                )
                self._children[fold.name] = run_id
                self._client.update_run(run_id, status=SCHEDULED)
            except MlflowException as error:
                log.warning("%s has no MLflow run: %s", fold.name, error)
        return self._children.get(fold.name)

    def end(self, fold: Fold, *, has_failed: bool) -> None:
        """Note how a fold ended for good."""
        self._waiting.pop(fold.name, None)
        if has_failed:
            self._failed.add(fold.experiment)
        run = self._children.pop(fold.name, None)
        if run is not None:
            self._terminate(run, FAILED if has_failed else FINISHED)

    def close(self, *, was_stopped: bool) -> None:
        """Note how all went.

        The runs of folds that have not ended are noted as stopped, and those of their experiments.
        """
        for run in self._children.values():
            self._terminate(run, KILLED)
        self._children.clear()
        for name, parent in self.parents.items():
            status = FAILED if name in self._failed else FINISHED
            is_whole = name not in self._waiting.values()
            self._terminate(parent, KILLED if was_stopped and not is_whole else status)

    def _folds_before(self, parent: str) -> set[int]:
        """Folds that earlier commands have trained."""
        known = self._client.get_run(parent).data.tags.get("folds", "")
        return {int(number) for number in known.split(",") if number.isdigit()}

    def _terminate(self, run: str, status: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_terminated(run, status)
        except MlflowException as error:
            log.warning("MLflow run %s was not closed as %s: %s", run, status, error)


def open_runs(context: "KedroContext", folds: Sequence[Fold], command: str) -> FanOutRuns | None:
    """The runs of the experiments, where ``mlflow.yml`` wants them.

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
    tags = {"command": command, **describe_environment(context.project_path)}
    return FanOutRuns(client, experiment.experiment_id, folds, tags)
