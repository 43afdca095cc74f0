"""What happens around a run: missing inputs are named first, parameters go to MLflow one by one."""

import os
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from receipt_ocr.detector.settings import Experiments

__all__ = ["MissingInputs", "ParameterLog"]


class MissingInputs:
    """Stops a run whose inputs nobody has made yet, and says which stage makes them."""

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
                env = f" --env={run_params['env']}" if run_params.get("env") else ""
                raise FileNotFoundError(
                    f"{name} is not there yet ({getattr(dataset, '_filepath', dataset)}); "
                    f"make it with: kedro run{env} --pipeline={maker}"
                )


class ParameterLog:
    """Logs each value of a settings block as an MLflow parameter of its own."""

    @hook_impl
    def after_context_created(self) -> None:
        """Set what third-party libraries read from the environment at import."""
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network otherwise

    @hook_impl
    def before_node_run(self, node: Node, inputs: dict[str, Any]) -> None:
        """Log the settings that a node is given."""
        import mlflow

        if mlflow.active_run() is None:
            return
        for name, value in inputs.items():
            if isinstance(value, Experiments):  # only the recipe that this run follows
                mlflow.log_param("experiment", value.selected)
                mlflow.log_params(_flatten(value.chosen.model_dump(mode="json"), "recipe"))
            elif isinstance(value, BaseModel):
                block = name.removeprefix("params:")
                mlflow.log_params(_flatten(value.model_dump(mode="json"), block))


def _maker_of(name: str) -> str | None:
    """The shortest pipeline that writes a dataset; None where it is raw data or a parameter."""
    makers = [key for key in pipelines if name in pipelines[key].all_outputs()]
    return min(makers, key=lambda key: len(pipelines[key].nodes), default=None)


def _flatten(block: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in block.items():
        name = f"{prefix}.{key}"
        flat |= _flatten(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
