"""Folds that are to be trained, and where each leaves its files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kedro.config import AbstractConfigLoader, MissingConfigException

from receipt_ocr.datasets.project import open_config
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.fan_out.job import Job
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.storage.files import Folder, open_folder, storage_options

Status = Literal["waiting", "running", "trained", "finished before", "failed", "stopped"]


class Traces(NamedTuple):
    """Files that trainings have left in a folder; a version changes with every writing."""

    begun: str | None = None  # version of the settings, which a training writes first
    finished: str | None = None  # version of the result, which it writes at the end
    hmean: float | None = None  # best page-mean H-mean on the validation pages; None if unknown
    epoch: int | None = None  # epoch that reached it, from 0


@dataclass
class Fold:
    """One fold of one experiment, and how far its training has come."""

    experiment: str
    number: int
    job: Job  # job that each try is a copy of
    folder: Folder  # folder that the training works in and leaves its result in
    status: Status = "waiting"  # "finished before" if it was trained already when the command began
    tries: int = 0
    seconds: float = 0.0  # duration of all its tries
    before: Traces | None = None  # its folder before the first try; None if unreadable
    after: Traces = field(default_factory=Traces)  # its folder after success
    shown: str = ""  # last line of its log that was shown, or lay there before its try
    message: str = ""  # error of the last try that failed

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
    """List the folds of every experiment, or of the selected one if none is named.

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
    # Logs lie beside the work folder, or in the project where that is at a remote address.
    logs = folder.local and folder.local.parent
    log = (logs or project / "logs" / (env or "default") / experiment) / f"{folder.name}.log"
    name, here = f"{experiment} fold {number}", str(Path.cwd())
    job = Job(name, str(project), env, params, log=str(log), folder=here)
    return Fold(experiment, number, job, folder)


def _work_folder(project: Path, loader: AbstractConfigLoader) -> Folder:
    entry, credentials = loader["catalog"]["work_folder"], None
    with suppress(MissingConfigException):  # Kedro will say so when it builds the catalog
        credentials = loader["credentials"].get(entry.get("credentials"))
    options = storage_options(credentials, entry.get("fs_args"))
    folder = open_folder(entry["filepath"], options)
    return folder if folder.local is None else open_folder(project / folder.local)
