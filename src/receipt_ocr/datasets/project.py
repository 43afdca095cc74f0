"""The project's configuration and catalog, read without a Kedro session."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.framework.context.context import _convert_paths_to_absolute_posix
from kedro.framework.project import settings
from kedro.io import DataCatalog

from receipt_ocr.identity import ExperimentId

READING = Lock()
"""Held while a catalog is read: OmegaConf's resolvers, and so the parameters, are global."""


def open_config(project: Path, env: str | None, params: Mapping[str, Any]) -> AbstractConfigLoader:
    """Open the project's configuration; a session's hooks would open the MLflow database.

    If ``env`` is None, the variable ``KEDRO_ENV`` counts, then Kedro's default.

    Raises:
        FileNotFoundError: If the environment has no folder.
    """
    loader = _open(str(project / settings.CONF_SOURCE), env or os.environ.get("KEDRO_ENV"), params)
    require_environment(loader)
    return loader


def open_catalog(
    loader: AbstractConfigLoader,
    project: Path,
    credentials: dict[str, Any] | None,
    experiment: ExperimentId,
) -> DataCatalog:
    """Open the catalog that a run with the same parameters has if it selects an experiment.

    An experiment named ``*`` puts this wildcard into every path.
    """
    selected = {"experiment": experiment.experiment, "tta": experiment.tta_view}
    params = {**(loader.runtime_params or {}), **selected}
    with READING:
        entries = _open(str(loader.conf_source), loader.env, params)["catalog"]
    return DataCatalog.from_config(_convert_paths_to_absolute_posix(project, entries), credentials)


def require_environment(config_loader: AbstractConfigLoader) -> None:
    """Check that the environment has a folder.

    Raises:
        FileNotFoundError: If it has none; the message lists those that there are.
    """
    env, conf = config_loader.env, Path(config_loader.conf_source)
    if env is None or not conf.is_dir() or (conf / env).is_dir():  # conf may be an archive
        return
    known = ", ".join(sorted(folder.name for folder in conf.iterdir() if folder.is_dir()))
    raise FileNotFoundError(f"no environment {env!r} in {conf}; --env must be one of: {known}")


def _open(conf_source: str, env: str | None, params: Mapping[str, Any]) -> AbstractConfigLoader:
    loader: AbstractConfigLoader = settings.CONFIG_LOADER_CLASS(
        conf_source, env=env, runtime_params=dict(params), **settings.CONFIG_LOADER_ARGS
    )
    return loader
