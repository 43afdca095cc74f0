"""What happens around a run: parameters go to MLflow one by one."""

import os
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node
from pydantic import BaseModel

from receipt_ocr.detector.settings import Experiments

__all__ = ["ParameterLog"]


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


def _flatten(block: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in block.items():
        name = f"{prefix}.{key}"
        flat |= _flatten(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
