"""Project settings: which hooks run and how configuration is read."""

import os
import warnings

from receipt_ocr.hooks import MissingInputs, ParameterLog

# Kedro's own use of OmegaConf, repeated at every start.
warnings.filterwarnings("ignore", message=r"(?s).*register_new_resolver\(\) is deprecated")

HOOKS = (MissingInputs(), ParameterLog())


def _environment_variable(name: str, default: str) -> str:
    """Value of an environment variable, for paths that differ between machines."""
    return os.environ.get(name) or default


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment's parameter file holds only its differences.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {"variable": _environment_variable},
}
