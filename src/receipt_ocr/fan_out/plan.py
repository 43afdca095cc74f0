"""Folds that are to be trained, and where each leaves its files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kedro.config import AbstractConfigLoader, MissingConfigException

from receipt_ocr.datasets.project import open_config
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.fan_out.job import Job
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.storage.files import Folder, open_folder, storage_options

__all__ = ["Fold", "parse_folds", "plan_folds"]

LOCAL_LOGS = Path("logs")
"""Folder in the project for the logs of folds whose results lie at a remote address."""


Status = Literal["waiting", "running", "trained", "finished before", "failed", "stopped"]


@dataclass
class Fold:
    """One fold of one experiment, and how far its training has come."""

    experiment: str
    """Name under ``experiments.variants``."""
    number: int
    """Number of the fold, from 0."""
    job: Job
    """Job that each try is a copy of."""
    folder: Folder
    """Folder that the training works in and leaves its result in."""
    status: Status = "waiting"
    """``finished before`` if it was trained already when the command began."""
    tries: int = 0
    seconds: float = 0.0
    """Duration of all its tries."""
    hmean: float | None = None
    """Best page-mean H-mean on the validation pages; None if unknown."""
    epoch: int | None = None
    """Epoch that reached it, from 0."""
    message: str = ""
    """Error of the last try that failed."""

    @property
    def name(self) -> str:
        """Name for people: ``convnext_tiny fold 0``."""
        return self.job.name

    @property
    def log(self) -> Path:
        """File that the output of all tries is appended to."""
        return Path(self.job.log)


def parse_folds(text: str) -> list[int]:
    """Read ``all``, ``3``, ``0,2`` or ``1-3``; the order is kept and repeats are dropped.

    Raises:
        ValueError: If the text names no fold, or one that does not exist.
    """
    if text.strip() == "all":
        return list(range(FOLD_COUNT))
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"folds must be all, or like 3 or 0,2 or 1-3; got {text!r}")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers or max(numbers) >= FOLD_COUNT:
        raise ValueError(f"folds go from 0 to {FOLD_COUNT - 1}; got {text!r}")
    return list(dict.fromkeys(numbers))


def plan_folds(
    project: Path,
    env: str | None,
    params: Mapping[str, Any],
    experiments: Sequence[str],
    folds: Sequence[int],
) -> list[Fold]:
    """List every fold of every experiment, and check names and settings.

    Args:
        project: Folder of the Kedro project.
        env: Environment under ``conf``; None for the default one.
        params: Runtime parameters that all folds share.
        experiments: Names; if empty, the experiment that the settings select.
        folds: Fold numbers.

    Raises:
        FileNotFoundError: If the environment has no folder.
        ValueError: If ``params`` names a fold or a run, or an experiment is unknown or wrong.
    """
    for key, instead in {"fold": "--folds", "mlflow_run_id": "a run of its own a fold"}.items():
        if key in params:
            raise ValueError(f"--params {key}=... does not go with many folds; use {instead}")
    if experiments and "experiment" in params:
        raise ValueError("--params experiment=... does not go with --experiments; give one of them")
    named = [{"experiment": name} for name in dict.fromkeys(experiments)] or [{}]
    return [
        _plan_fold(project, env, {**params, **experiment, "fold": number})
        for experiment in named
        for number in folds
    ]


def _plan_fold(project: Path, env: str | None, params: Mapping[str, Any]) -> Fold:
    loader = open_config(project, env, params)
    experiment = Experiments.model_validate(loader["parameters"]["experiments"]).selected
    folder, number = _work_folder(project, loader), params["fold"]
    logs = folder.local and folder.local.parent
    log = (logs or project / LOCAL_LOGS / (env or "default") / experiment) / f"{folder.name}.log"
    name, here = f"{experiment} fold {number}", str(Path.cwd())
    job = Job(name, str(project), env, params, log=str(log), folder=here)
    return Fold(experiment, number, job, folder)


def _work_folder(project: Path, loader: AbstractConfigLoader) -> Folder:
    entry, credentials = loader["catalog"]["work_folder"], None
    with suppress(MissingConfigException):  # Kedro will say so when it builds the catalog
        if name := entry.get("credentials"):
            credentials = loader["credentials"].get(name)
    options = storage_options(credentials, entry.get("fs_args"))
    folder = open_folder(entry["filepath"], options)
    return folder if folder.local is None else open_folder(project / folder.local)
