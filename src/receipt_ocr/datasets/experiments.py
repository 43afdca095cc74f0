"""Results of every experiment: maps, trainings, scores and notes of runs, found by its name."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from kedro.io import DataCatalog
from kedro.io.core import DatasetError

from receipt_ocr.datasets.entries import RUN_RECORDS, EntryNotes
from receipt_ocr.datasets.probability_maps import StoredMaps
from receipt_ocr.identity import ExperimentId, fold_name
from receipt_ocr.records import ChosenPostprocess, RunRecord, TrainingRecord, TunedPostprocess
from receipt_ocr.storage.files import open_folder, storage_options


class ExperimentStore:
    """Reads what experiments have left, through the catalog as it stands for each of them.

    Nothing is read before it is asked for. Everywhere, ``experiment`` is a name, or ``name@view``
    with test-time augmentation, and ``fold`` counts from 0.
    """

    def __init__(
        self, open_catalog: Callable[[ExperimentId], DataCatalog], command: str = "kedro run"
    ) -> None:
        """Read nothing yet.

        Args:
            open_catalog: Gives the project's catalog with an experiment selected; ``*`` stands for
                any.
            command: Runs pipelines in this environment; for messages.
        """
        self.command = command
        self._open_catalog = open_catalog
        self._catalogs: dict[ExperimentId, DataCatalog] = {}

    def names(self) -> list[str]:
        """Experiments that have been scored, in the order of their names."""
        entry = self._catalog("*").config_resolver.resolve_pattern("page_scores")
        before, _, after = entry["filepath"].rpartition("*")
        options = storage_options(entry.get("credentials"), entry.get("fs_args"))
        found = open_folder(before, options).glob(f"*{after}")
        return sorted(str(file).removesuffix(after).rpartition("/")[2] for file in found)

    def maps(self, experiment: str, fold: int, kind: str) -> StoredMaps:
        """Maps of a fold's pages; ``kind`` is ``out_of_fold``, ``holdout`` or ``test``."""
        maps: StoredMaps = self._catalog(experiment)[f"{fold_name(fold)}_{kind}_maps"].load()
        return maps

    def history(self, experiment: str, fold: int) -> pd.DataFrame | None:
        """The epochs of a fold's training; None where there is no such file."""
        return self._find_table(experiment, f"{fold_name(fold)}_history")

    def training(self, experiment: str, fold: int) -> TrainingRecord | None:
        """The record of a fold's training; None where there is none."""
        entry = f"{fold_name(fold)}_training_record"
        record: TrainingRecord | None = self._find(experiment, entry)
        return record

    def page_scores(self, experiment: str) -> pd.DataFrame | None:
        """A row a member, subset and page; None where it has not been scored."""
        return self._find_table(experiment, "page_scores")

    def chosen_postprocess(self, experiment: str) -> ChosenPostprocess | None:
        """The post-processing and members that its scores are of; None where there is none."""
        chosen: ChosenPostprocess | None = self._find(experiment, "chosen_postprocess")
        return chosen

    def tuned_postprocess(self, experiment: str) -> TunedPostprocess | None:
        """The settings that tuning found out of fold; None where it has not run."""
        tuned: TunedPostprocess | None = self._find(experiment, "tuned_postprocess")
        return tuned

    def run_record(self, experiment: str, entry: str) -> RunRecord | None:
        """The run that wrote an entry of the catalog; None where that is unknown."""
        owner = EntryNotes.read(self._catalog(experiment), entry).owner
        return None if owner is None else self._run_records(experiment, owner).get(entry)

    def run_records(self, experiment: str) -> dict[str, RunRecord]:
        """Entry of the catalog -> the run that wrote it.

        Covers the experiment, its detectors, and what all experiments share.
        """
        return {
            entry: record
            for owner in reversed(RUN_RECORDS)
            for entry, record in self._run_records(experiment, owner).items()
        }

    def training_run(self, experiment: str, fold: int) -> str | None:
        """Id of the MLflow run that trained a fold; None where that is unknown."""
        record = self.run_record(experiment, f"{fold_name(fold)}_checkpoint")
        return None if record is None else record.run_id

    def _catalog(self, experiment: str) -> DataCatalog:
        own = ExperimentId.parse(experiment)
        if own not in self._catalogs:
            self._catalogs[own] = self._open_catalog(own)
        return self._catalogs[own]

    def _run_records(self, experiment: str, owner: str) -> dict[str, RunRecord]:
        """Notes that lie with an owner, of its own entries: earlier versions noted others there."""
        catalog = self._catalog(experiment)
        return {
            entry: record
            for entry, record in catalog[RUN_RECORDS[owner]].load().items()
            if EntryNotes.read(catalog, entry).owner == owner
        }

    def _find_table(self, experiment: str, entry: str) -> pd.DataFrame | None:
        """A table; None where nothing was written.

        Raises:
            DatasetError: If the file is damaged.
        """
        try:
            table: pd.DataFrame | None = self._find(experiment, entry)
        except DatasetError as error:
            place = self._catalog(experiment).config_resolver.resolve_pattern(entry)["filepath"]
            reason = error.__cause__ or error
            message = f"{place} is damaged ({reason}); delete it, or make it again"
            raise DatasetError(message) from error
        return table

    def _find(self, experiment: str, entry: str) -> Any:
        """An entry's content; None where nothing was written."""
        dataset = self._catalog(experiment)[entry]
        dataset.release()  # a remote listing may be older than the file
        return dataset.load() if dataset.exists() else None
