"""What other experiments have left: maps, trainings and scores, found by name."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, NamedTuple, TypeVar

import pandas as pd
from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.datasets.entries import name_owner
from receipt_ocr.datasets.probability_maps import StoredMaps
from receipt_ocr.datasets.records import RecordsDataset
from receipt_ocr.identity import Member
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    Record,
    RunRecord,
    SubmissionRecord,
    TrainingRecord,
)
from receipt_ocr.storage.files import Folder, open_folder, storage_options

__all__ = ["ExperimentsDataset", "StoredExperiments"]

Address = dict[str, str]
T = TypeVar("T")
R = TypeVar("R", bound=Record)

SCORES = "page_scores.parquet"
"""File whose presence says that an experiment has been scored."""


class StoredExperiments(NamedTuple):
    """The folders of all experiments; nothing is read before it is asked for.

    An ``experiment`` is a name, ``name@augmentation`` where pages were looked at in several ways.
    """

    maps_folder: Folder
    models_folder: Folder
    reports_folder: Folder
    command: str

    def names(self) -> list[str]:
        """Experiments that have been scored, in the order of their names."""
        return sorted(file.parent.name for file in self.reports_folder.glob(f"*/{SCORES}"))

    def maps(self, experiment: str, fold: int, kind: str) -> StoredMaps:
        """Maps of a fold's pages.

        Args:
            experiment: Its name.
            fold: From 0.
            kind: ``out_of_fold``, ``holdout`` or ``test``.
        """
        name, _, tta = experiment.partition("@")
        pipeline = "predict_fold" if tta else "train_fold"
        params = f"fold={fold},experiment={name}" + (f",tta={tta}" if tta else "")
        return StoredMaps(
            self.maps_folder / f"{experiment}/fold_{fold}/{kind}_maps",
            f"{self.command} --pipeline={pipeline} --params {params}",
        )

    def history(self, experiment: str, fold: int) -> pd.DataFrame | None:
        """The epochs of a fold's training; None where there is no such file."""
        file = f"{experiment.partition('@')[0]}/fold_{fold}_history.csv"
        return _read(self.models_folder, file, pd.read_csv)

    def training(self, experiment: str, fold: int) -> TrainingRecord | None:
        """The record of a fold's training; None where there is none."""
        file = f"{experiment.partition('@')[0]}/fold_{fold}_training.json"
        return _read(self.models_folder, file, _parser(TrainingRecord))

    def page_scores(self, experiment: str) -> pd.DataFrame | None:
        """A row a member, subset and page; None where it has not been scored."""
        return _read(self.reports_folder, f"{experiment}/{SCORES}", pd.read_parquet)

    def chosen_postprocess(self, experiment: str) -> ChosenPostprocess | None:
        """What its scores are of: post-processing and members; None where there is none."""
        file = f"{experiment}/ensemble/postprocess.json"
        return _read(self.maps_folder, file, _parser(ChosenPostprocess))

    def run_record(self, experiment: str, entry: str) -> RunRecord | None:
        """Which run wrote an entry of the catalog for an experiment; None where that is unknown."""
        folder = _records_folder(name_owner(entry, experiment))
        return _read(self.reports_folder, f"{folder}/{entry}.json", _parser(RunRecord))

    def run_records(self, experiment: str) -> dict[str, RunRecord]:
        """Entry of the catalog -> its record.

        Of an experiment, of its detectors' trainings, and of what all experiments have in common.
        """
        owners = dict.fromkeys([experiment, experiment.partition("@")[0], ""])
        return {
            entry: record
            for owner in owners
            for entry, record in self._records_of(owner).items()
            if name_owner(entry, experiment) == owner
        }

    def _records_of(self, owner: str) -> dict[str, Any]:
        return RecordsDataset.of(self.reports_folder / _records_folder(owner), RunRecord).load()

    def experiment(
        self,
        name: str,
        submissions: Sequence[SubmissionRecord],
        leaderboard: Sequence[LeaderboardScore],
    ) -> Experiment | None:
        """Everything that lays an experiment beside others; None where it was not scored.

        Args:
            name: Of the experiment.
            submissions: Records of all submissions; its own are taken.
            leaderboard: Records of all scores.
        """
        page_scores, chosen = self.page_scores(name), self.chosen_postprocess(name)
        if page_scores is None or chosen is None or chosen.members is None:
            return None
        voting = [Member.parse(member) for member in chosen.members.names]
        folds = {str(member): member.fold for member in voting if not member.is_external}
        return Experiment(
            name=name,
            page_scores=page_scores,
            histories={member: self.history(name, fold) for member, fold in folds.items()},
            trainings={member: self.training(name, fold) for member, fold in folds.items()},
            submissions=[one for one in submissions if one.experiment == name],
            leaderboard=[one for one in leaderboard if one.experiment == name],
            chosen=chosen,
        )

    def training_run(self, experiment: str, fold: int) -> str | None:
        """Id of the MLflow run that trained a fold; None where that is unknown."""
        record = self.run_record(experiment, f"fold_{fold}_checkpoint")
        return None if record is None else record.run_id


class ExperimentsDataset(AbstractDataset[None, StoredExperiments]):
    """The folders that hold a folder for each experiment; can only be loaded.

    Example of a catalog entry::

        experiments_results:
          type: receipt_ocr.datasets.experiments.ExperimentsDataset
          maps: {filepath: data/07_model_output}
          models: {filepath: data/06_models}
          reports: {filepath: data/08_reporting}
          command: kedro run
    """

    may_be_missing = True  # an ensemble of the selected experiment's folds needs none

    def __init__(  # noqa: PLR0913  # one argument a key of the catalog entry
        self,
        *,
        maps: Address,
        models: Address,
        reports: Address,
        command: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at three folders.

        Args:
            maps: ``filepath`` of the folder with ``<experiment>/fold_<k>/<kind>_maps``.
            models: ``filepath`` of the folder with ``<experiment>/fold_<k>_history.csv``.
            reports: ``filepath`` of the folder with ``<experiment>/page_scores.parquet``.
            command: That runs pipelines in this environment, for error messages.
            credentials: For the file system of a remote address.
            fs_args: Further arguments of that file system's constructor.
            metadata: Ignored by Kedro, read by plugins.
        """
        options = storage_options(credentials, fs_args)
        self._maps, self._models, self._reports = (
            open_folder(entry["filepath"], options) for entry in (maps, models, reports)
        )
        self._command = command
        self.metadata = metadata

    def load(self) -> StoredExperiments:
        """The folders; nothing is read yet."""
        return StoredExperiments(self._maps, self._models, self._reports, self._command)

    def save(self, data: None) -> None:
        """Refuse: each experiment writes its own results.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("the results of experiments are written by their own stages")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        folders = {"maps": self._maps, "models": self._models, "reports": self._reports}
        return {name: str(folder) for name, folder in folders.items()}


def _parser(kind: type[R]) -> Callable[[Any], R]:
    return lambda content: kind.model_validate_json(content.read(), strict=True)


def _records_folder(owner: str) -> str:
    return f"{owner}/runs" if owner else "runs"


def _read(folder: Folder, file: str, parse: Callable[[Any], T]) -> T | None:
    """A file's content; None where there is no such file.

    Raises:
        DatasetError: If it is damaged; the file is named.
    """
    try:
        content = folder.read(file)
    except FileNotFoundError:
        return None
    try:
        return parse(BytesIO(content))
    except (ValueError, OSError) as error:
        raise DatasetError(
            f"{folder}/{file} is damaged ({error}); delete it, or make it again"
        ) from error
