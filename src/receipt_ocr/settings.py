"""Project settings: the hooks that run, and how configuration is read."""

import logging
import os
from typing import Any

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


# Filtered in the log, because MLflow overrules what `warnings` is told to ignore.
logging.captureWarnings(True)
logging.getLogger("py.warnings").addFilter(
    lambda record: not any(remark in record.getMessage() for remark in REMARKS)
)

HOOKS = (
    *(MissingInputs(), OtherExperiments(), RankZeroOnly()),
    *(ParameterLog(), MlflowRun(), Provenance()),
)

# Of the processes that train one detector together, the first has the MLflow run.
DISABLE_HOOKS_FOR_PLUGINS = () if read_launch().is_first else ("kedro-mlflow",)


CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment's parameter file holds only its differences.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {
        # An environment variable, for paths that differ between machines.
        "variable": lambda name, default: os.environ.get(name) or default,
        # The name that an experiment's maps, scores and reports are kept under.
        "variant": lambda experiment, tta: str(ExperimentId(experiment, tta)),
        # The parameters that choose an experiment on the command line.
        "variant_params": lambda experiment, tta: ExperimentId(experiment, tta).params,
        # With test-time augmentation, a fold is trained before its maps are made.
        "maps_pipeline": lambda tta: "train_fold" if tta == PLAIN_VIEW else "predict_fold",
    },
}
