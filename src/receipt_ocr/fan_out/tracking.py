"""MLflow runs of the folds that a command trains, below the runs of their experiments."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from receipt_ocr.fan_out.job import PIPELINE
from receipt_ocr.fan_out.plan import Fold
from receipt_ocr.tracking.layout import FAILED, FINISHED, find_parent, open_child, warn_if_away

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from mlflow.tracking import MlflowClient


class FoldRuns:
    """A run for each fold, and the runs of the experiments that they belong to.

    A run that cannot be opened or closed, because the server is away, costs a warning and no
    training. Without a client nothing is done.
    """

    def __init__(self, client: "MlflowClient | None" = None, mlflow_experiment: str = "") -> None:
        """Send nothing yet; the MLflow experiment is the id of the data set's."""
        self._client: Any = client
        self._mlflow_experiment = mlflow_experiment
        self._children: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        """Experiment -> id of its run."""

    def start(self, folds: Sequence[Fold], tags: Mapping[str, str]) -> None:
        """Find or make the runs of the experiments, and note on them what is to be trained."""
        if self._client is None:
            return
        for name in dict.fromkeys(fold.experiment for fold in folds):
            parent = find_parent(self._client, self._mlflow_experiment, name)
            self.parents[name] = parent
            before = self._client.get_run(parent).data.tags.get("folds", "")
            numbers = {fold.number for fold in folds if fold.experiment == name}
            numbers |= {int(number) for number in before.split(",") if number.isdigit()}
            own = {**tags, "folds": ",".join(map(str, sorted(numbers)))}
            for key, value in own.items():
                self._client.set_tag(parent, key, value)
            self._client.update_run(parent, status="RUNNING")

    def open(self, fold: Fold) -> dict[str, str]:
        """Make the run of a fold, or take that of its earlier tries; returns its parameters.

        They are empty if no run could be made: the training then opens one itself.
        """
        if fold.name not in self._children and fold.experiment in self.parents:
            with warn_if_away(f"a run of {fold.name}"):
                place = self._mlflow_experiment
                run = open_child(self._client, place, fold.experiment, fold.number, fold.name)
                self._children[fold.name] = run
                self._client.update_run(run, status="SCHEDULED")
        if fold.name not in self._children:
            return {}
        # With its name, or kedro-mlflow would name it after the pipeline.
        return {"mlflow_run_id": self._children[fold.name], "mlflow_run_name": fold.name}

    def end(self, fold: Fold) -> None:
        """Note on a fold's run that it has ended for good."""
        if run := self._children.pop(fold.name, None):
            self._terminate(run, [fold])

    def close(self, folds: Sequence[Fold]) -> None:
        """Note on the runs of experiments, and of folds that were stopped, how all went."""
        for fold in folds:
            self.end(fold)
        for name, parent in self.parents.items():
            self._terminate(parent, (fold for fold in folds if fold.experiment == name))

    def _terminate(self, run: str, folds: Iterable[Fold]) -> None:
        ended = {fold.status for fold in folds}
        status = "KILLED" if "stopped" in ended else FAILED if "failed" in ended else FINISHED
        with warn_if_away(f"the end of run {run}"):
            self._client.set_terminated(run, status)


def open_runs(context: "KedroContext") -> FoldRuns:
    """Read from the context, whose hooks have read ``mlflow.yml``, where runs are kept."""
    config: Any = getattr(context, "mlflow", None)
    if config is None or PIPELINE in (config.tracking.disable_tracking.pipelines or ()):
        return FoldRuns()
    from mlflow.tracking import MlflowClient

    client = MlflowClient()  # at the address that the hook has set
    experiment = client.get_experiment_by_name(config.tracking.experiment.name)
    assert experiment is not None  # the hook has made it
    return FoldRuns(client, experiment.experiment_id)
