"""Project settings: which hooks run and how configuration is read."""

import logging
import os

from receipt_ocr.hooks import MissingInputs, ParameterLog, StartedTogether
from receipt_ocr.tracking.hooks import Artifacts, RunPlace, SavedBy
from receipt_ocr.training.launch import read_launch

REMARKS = (
    "register_new_resolver() is deprecated",
    "Add type hints to the `predict` method",
    "Option '--pipeline' is deprecated",
)
"""Warnings of libraries about their own code or Kedro's next version, repeated at every start."""


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(remark in message for remark in REMARKS)


# By way of the log, because MLflow overrules what `warnings` is told to ignore.
logging.captureWarnings(True)
logging.getLogger("py.warnings").addFilter(_is_news)

HOOKS = (MissingInputs(), StartedTogether(), ParameterLog(), RunPlace(), SavedBy(), Artifacts())

# Of the processes that train one detector together, the first has the MLflow run.
DISABLE_HOOKS_FOR_PLUGINS = () if read_launch().is_first else ("kedro-mlflow",)


def _environment_variable(name: str, default: str) -> str:
    """Value of an environment variable, for paths that differ between machines."""
    return os.environ.get(name) or default


def _unless_none(prefix: str, name: str) -> str:
    """A part of a path or command that is there only where something is chosen."""
    return "" if name == "none" else f"{prefix}{name}"


def _maps_pipeline(tta: str) -> str:
    """The pipeline that makes a fold's maps: with augmentation its detector is there already."""
    return "train_fold" if tta == "none" else "predict_fold"


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment's parameter file holds only its differences.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {
        "variable": _environment_variable,
        "unless_none": _unless_none,
        "maps_pipeline": _maps_pipeline,
    },
}
