"""Hooks around a run: check inputs, open other experiments, log parameters, one writer a run."""

import logging
import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from receipt_ocr.datasets.project import open_catalog, require_environment
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.training.launch import read_launch

TRAINED_TOGETHER = ("train_fold", "final_fit")
"""Pipelines with one training, which several processes can share."""

QUIET = {
    "kedro.io.data_catalog": logging.ERROR,
    "kedro.pipeline.node": logging.WARNING,
    "kedro.runner": logging.WARNING,
    "receipt_ocr": logging.WARNING,
}
"""Logger -> its level on ranks above 0."""


class MissingInputs:
    """Stops a run that lacks its environment or inputs nobody has made yet, and says what to do."""

    @hook_impl(tryfirst=True)  # MLflow would go on with defaults of its own
    def after_context_created(self, context: KedroContext) -> None:
        """Look for the folder of the environment; see :func:`require_environment`."""
        require_environment(context.config_loader)

    @hook_impl(tryfirst=True)  # before MLflow opens a run
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Look for the inputs' files before the first node runs.

        Raises:
            FileNotFoundError: If one is missing that the stage cannot do without.
        """
        for name in sorted(pipeline.inputs()):
            maker = _maker_of(name)
            dataset = catalog.get(name)
            if maker is None or dataset is None or getattr(dataset, "may_be_missing", False):
                continue
            if not dataset.exists():
                path = _address(dataset)
                advice = getattr(dataset, "when_missing", None)
                advice = advice or f"Make it with: {_command(maker, run_params)}"
                raise FileNotFoundError(f"{name} is not there yet ({path}).\n{advice}")


class RankZeroOnly:
    """Lets the first of the processes that torchrun or SLURM has started write, and no other."""

    @hook_impl(tryfirst=True)  # before MLflow opens a run
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """On ranks above 0, keep outputs in memory.

        Raises:
            ValueError: If processes cannot share the pipeline.
        """
        launch = read_launch()
        if launch.processes == 1:
            return
        names = run_params.get("pipeline_names") or ["__default__"]
        if len(names) > 1 or names[0] not in TRAINED_TOGETHER:
            raise ValueError(
                f"{launch.launcher} started {launch.processes} processes, each of which would run "
                f"{', '.join(names)}; only {' and '.join(TRAINED_TOGETHER)} can be shared. Start "
                "this one as a single process"
            )
        if not launch.is_first:
            for name, level in QUIET.items():  # the first process says the same
                logging.getLogger(name).setLevel(level)
            for name in pipeline.all_outputs():
                catalog[name] = MemoryDataset()


class OtherExperiments:
    """Fills the entry ``experiment_store``, so that a run can read what other experiments left."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the catalog comes from."""
        self._context = context

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, conf_creds: dict[str, Any]) -> None:
        """Give the store this run's configuration, to read it anew for any experiment."""
        store = None if self._context is None else catalog.get("experiment_store")
        if store is None or self._context is None:
            return
        from receipt_ocr.datasets.experiments import ExperimentStore

        loader, project = self._context.config_loader, self._context.project_path
        command = loader["globals"].get("command", "kedro run")
        store.save(ExperimentStore(partial(open_catalog, loader, project, conf_creds), command))


class ParameterLog:
    """Logs each value of a settings block as its own MLflow parameter."""

    @hook_impl
    def before_node_run(self, node: Node, inputs: dict[str, Any]) -> None:
        """Log the settings that a node is given."""
        import mlflow

        if mlflow.active_run() is None:
            return
        for name, value in inputs.items():
            if isinstance(value, Experiments):  # only the recipe that this run follows
                mlflow.log_param("experiment", value.selected)
                mlflow.log_params(flatten_settings(value.chosen.model_dump(mode="json"), "recipe"))
            elif isinstance(value, TtaVariants):
                mlflow.log_param("tta", value.selected)
                mlflow.log_params(flatten_settings(value.chosen.model_dump(mode="json"), "tta"))
            elif isinstance(value, BaseModel) and name.startswith("params:"):
                block = name.removeprefix("params:")  # a record of an earlier stage is no setting
                mlflow.log_params(flatten_settings(value.model_dump(mode="json"), block))


def _maker_of(name: str) -> str | None:
    """The shortest pipeline that writes a dataset; None where it is raw data or a parameter."""
    makers = [key for key in pipelines if name in pipelines[key].all_outputs()]
    return min(makers, key=lambda key: len(pipelines[key].nodes), default=None)


def _address(dataset: Any) -> str:
    """Address of a dataset's file; Kedro's own datasets keep a remote protocol apart."""
    path = str(getattr(dataset, "_filepath", dataset))
    protocol = getattr(dataset, "_protocol", "file")
    return path if protocol == "file" else f"{protocol}://{path}"


def _command(pipeline: str, run_params: Mapping[str, Any]) -> str:
    """The command that runs another pipeline in the same environment with the same parameters."""
    words = ["kedro", "run", f"--pipeline={pipeline}"]
    if run_params.get("env"):
        words.insert(2, f"--env={run_params['env']}")
    params = flatten_settings(run_params.get("runtime_params") or {})
    typed = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    if typed:
        words += ["--params", ",".join(typed)]
    return shlex.join(words)


def flatten_settings(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted key -> value."""
    flat: dict[str, Any] = {}
    for key, value in block.items():
        name = f"{prefix}.{key}" if prefix else key
        flat |= flatten_settings(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
