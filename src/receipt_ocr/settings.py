"""Project settings: the hooks that run, and how configuration is read."""

import logging
import os

from receipt_ocr.hooks import MissingInputs, OtherExperiments, ParameterLog, RankZeroOnly
from receipt_ocr.identity import PLAIN_VIEW, ExperimentId
from receipt_ocr.tracking.hooks import MlflowRun, Provenance
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


# Filtered in the log, because MLflow overrules what `warnings` is told to ignore.
logging.captureWarnings(True)
logging.getLogger("py.warnings").addFilter(_is_news)

HOOKS = (
    *(MissingInputs(), OtherExperiments(), RankZeroOnly()),
    *(ParameterLog(), MlflowRun(), Provenance()),
)

# Of the processes that train one detector together, the first has the MLflow run.
DISABLE_HOOKS_FOR_PLUGINS = () if read_launch().is_first else ("kedro-mlflow",)


def _environment_variable(name: str, default: str) -> str:
    """Read an environment variable, for paths that differ between machines."""
    return os.environ.get(name) or default


def _variant(experiment: str, tta: str) -> str:
    """The name that an experiment's maps, scores and reports are kept under."""
    return str(ExperimentId(experiment, tta))


def _variant_params(experiment: str, tta: str) -> str:
    """The parameters that choose an experiment on the command line."""
    return ExperimentId(experiment, tta).params


def _maps_pipeline(tta: str) -> str:
    """The pipeline that makes a fold's maps; with augmentation its detector is trained before."""
    return "train_fold" if tta == PLAIN_VIEW else "predict_fold"


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment's parameter file holds only its differences.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {
        "variable": _environment_variable,
        "variant": _variant,
        "variant_params": _variant_params,
        "maps_pipeline": _maps_pipeline,
    },
}
