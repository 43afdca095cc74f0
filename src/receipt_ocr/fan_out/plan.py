"""Which folds of which experiments are to be trained, and where each leaves its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kedro.config import AbstractConfigLoader, MissingConfigException
from omegaconf import OmegaConf

from receipt_ocr.datasets.project import open_config
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.storage.files import Folder, open_folder, storage_options

__all__ = ["PIPELINE", "Fold", "parse_folds", "plan_folds"]

PIPELINE = "train_fold"
"""Name of the pipeline that trains one fold."""

LOCAL_LOGS = Path("logs")
"""Folder of the logs, beside the project's data, where results lie at a remote address."""

ON_GPUS = {"experiments": {"recipe": {"training": {"accelerator": "gpu"}}}}
"""Runtime parameters of a fold that is given GPUs."""


@dataclass(frozen=True)
class Fold:
    """One fold of one experiment.

    Attributes:
        experiment: Its name under ``experiments.variants``.
        number: Of the fold, from 0.
        params: Runtime parameters of the Kedro session that trains it.
        folder: That the training works in; the note of its end lies there.
        log: File that receives what the training prints; earlier content is kept.
    """

    experiment: str
    number: int
    params: Mapping[str, Any]
    folder: Folder
    log: Path

    @property
    def name(self) -> str:
        """For people: ``convnext_tiny fold 0``."""
        return f"{self.experiment} fold {self.number}"

    def on_gpus(self) -> "Fold":
        """The fold where it is given GPUs: it fails if they cannot be used (an old driver, say).

        Else it would train on the CPU without a word. Who asks for another accelerator gets it.
        """
        own = OmegaConf.merge(ON_GPUS, dict(self.params))
        return replace(self, params=cast("dict[str, Any]", OmegaConf.to_container(own)))


def parse_folds(text: str) -> list[int]:
    """The folds that ``all``, ``3``, ``0,2`` or ``1-3`` names, in that order, each once.

    Raises:
        ValueError: If it names none, or one that there is not.
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
    """Every fold of every experiment, experiment by experiment; settings and names are checked.

    Args:
        project: Folder of the Kedro project.
        env: Environment under ``conf``; None for the default one.
        params: Runtime parameters that all of them have in common.
        experiments: Their names; the selected one where there are none.
        folds: Their numbers.

    Raises:
        FileNotFoundError: If the environment has no folder.
        ValueError: If ``params`` names a fold or a run, or an experiment is unknown or wrong.
    """
    for key, instead in {"fold": "--folds", "mlflow_run_id": "a run of its own a fold"}.items():
        if key in params:
            raise ValueError(f"--params {key}=... does not go with many folds; use {instead}")
    if experiments and "experiment" in params:
        raise ValueError("--params experiment=... does not go with --experiments; give one of them")
    names = list(dict.fromkeys(experiments)) or [_selected(open_config(project, env, params))]
    return [
        fold
        for name in names
        for fold in _plan_experiment(project, env, {**params, "experiment": name}, folds)
    ]


def _plan_experiment(
    project: Path, env: str | None, params: Mapping[str, Any], folds: Sequence[int]
) -> list[Fold]:
    name = _selected(open_config(project, env, params))
    planned = []
    for number in folds:
        own = {**params, "fold": number}
        folder = _work_folder(project, open_config(project, env, own))
        if folder.local is not None:
            log = folder.local.with_name(f"{folder.name}.log")
        else:
            log = project / LOCAL_LOGS / (env or "default") / name / f"{folder.name}.log"
        planned.append(Fold(name, number, own, folder, log))
    return planned


def _selected(loader: AbstractConfigLoader) -> str:
    return Experiments.model_validate(loader["parameters"]["experiments"]).selected


def _work_folder(project: Path, loader: AbstractConfigLoader) -> Folder:
    entry = loader["catalog"]["work_folder"]
    credentials = None
    if entry.get("credentials") is not None:
        try:
            credentials = loader["credentials"].get(entry["credentials"])
        except MissingConfigException:  # Kedro will say so when it builds the catalog
            credentials = None
    options = storage_options(credentials, entry.get("fs_args"))
    folder = open_folder(entry["filepath"], options)
    return folder if folder.local is None else open_folder(project / folder.local)
