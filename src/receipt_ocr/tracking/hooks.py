"""Records kept around every run: what MLflow is told of it, and which run wrote which entry."""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import DatasetError

from receipt_ocr.datasets.entries import RUN_RECORDS, EntryNotes
from receipt_ocr.identity import PLAIN_VIEW, ExperimentId, fold_name
from receipt_ocr.records import RunRecord
from receipt_ocr.tracking.environment import describe_environment, read_commit
from receipt_ocr.tracking.layout import warn_if_away
from receipt_ocr.tracking.runs import FOLD_RUNS, place_run

OF_ONE_FOLD = frozenset({"train_fold", "predict_fold"})
"""Pipelines that work on the fold that the parameter ``fold`` chooses."""

log = logging.getLogger(__name__)


class _RunHook:
    """Knows the run between its beginning and its end."""

    _run: "_Run | None" = None

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Forget the run."""
        self._run = None


class MlflowRun(_RunHook):
    """Gives the MLflow run its parent, name and tags, and what the catalog says that it gets."""

    @hook_impl(trylast=True)  # once MLflow has opened the run
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: DataCatalog) -> None:
        """Place the run below that of its experiment; see :func:`place_run`."""
        import mlflow

        self._run = _Run.read(run_params, catalog)
        FOLD_RUNS.clear()  # those of an earlier session in this process
        if mlflow.active_run() is None:
            return
        _leave_blocks_to_us()
        tags = describe_environment(run_params["project_path"])
        place_run(_experiment(catalog), self._run.pipeline, self._run.fold, tags)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Tag the run with the hash of the data that it sees."""
        import mlflow

        if self._run is None or self._run.notes(dataset_name).mlflow != "hash":
            return
        if mlflow.active_run() is not None:
            from receipt_ocr.tracking.data_hash import hash_table

            with warn_if_away(f"the hash of {dataset_name}"):
                mlflow.set_tag(f"data.{dataset_name}", hash_table(data))

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Copy a file into the run, or note its path; a server that is away costs no result."""
        if self._run is None or self._run.notes(dataset_name).mlflow not in {"file", "path"}:
            return
        run_id = _run_id(self._run.entry(dataset_name))
        if run_id is None:
            return
        from mlflow.tracking import MlflowClient

        file = getattr(self._run.catalog.get(dataset_name), "_filepath", None)
        with warn_if_away(str(file)):
            if self._run.notes(dataset_name).mlflow == "path":
                MlflowClient().set_tag(run_id, "checkpoint", str(file))
            elif file is not None and Path(str(file)).is_file():  # not at a remote address
                MlflowClient().log_artifact(run_id, str(file))


class Provenance(_RunHook):
    """Notes for every entry of the catalog which run wrote it, so that figures can be traced."""

    _commit: str | None = None

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: DataCatalog) -> None:
        """Remember what the records of the run have in common."""
        self._run = _Run.read(run_params, catalog)
        self._commit = read_commit(run_params["project_path"])

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Write the record of an entry, if it was saved for later runs."""
        run = self._run
        owner = run and run.notes(dataset_name).owner
        if not (run and owner) or isinstance(run.catalog.get(dataset_name), MemoryDataset):
            return
        entry = run.entry(dataset_name)
        record = RunRecord(
            run_id=_run_id(entry),
            pipeline=run.pipeline,
            commit=self._commit,
            saved=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        try:
            run.catalog.save(RUN_RECORDS[owner], {entry: record})
        except (DatasetError, OSError) as error:  # a missing note is not worth a lost training
            log.warning("It is not recorded which run wrote %s: %s", entry, error)


class _Run(NamedTuple):
    """A run of pipelines: what the hooks need to know when an entry is loaded or saved."""

    catalog: DataCatalog
    pipeline: str
    fold: int | None
    """The chosen fold, where one of the pipelines is of one fold."""

    @classmethod
    def read(cls, run_params: dict[str, Any], catalog: DataCatalog) -> Self:
        names = run_params.get("pipeline_names") or ["__default__"]
        fold = (run_params.get("runtime_params") or {}).get("fold", 0)
        is_of_fold = isinstance(fold, int) and not OF_ONE_FOLD.isdisjoint(names)
        return cls(catalog, "+".join(names), fold if is_of_fold else None)

    def notes(self, dataset_name: str) -> EntryNotes:
        return EntryNotes.read(self.catalog, dataset_name)

    def entry(self, dataset_name: str) -> str:
        """Name of a dataset in the graph of all folds: ``history`` of fold 3 is fold_3_history."""
        if self.fold is None:
            return dataset_name
        of_fold = f"{fold_name(self.fold)}_{dataset_name}"
        return of_fold if of_fold in self.catalog else dataset_name


def _leave_blocks_to_us() -> None:
    """Keep kedro-mlflow from logging a whole settings block as one long text.

    It flattens plain dictionaries, but not blocks that have been validated; those are logged value
    by value by :class:`receipt_ocr.hooks.ParameterLog`.
    """
    from kedro_mlflow.framework.hooks import mlflow_hook
    from pydantic import BaseModel

    plain = type(mlflow_hook)._log_param

    def log_plain(name: str, value: Any) -> None:
        if not isinstance(value, BaseModel):
            plain(mlflow_hook, name, value)

    mlflow_hook._log_param = log_plain


def _run_id(entry: str) -> str | None:
    """The run of the fold that an entry belongs to, else the active one; None without MLflow."""
    import mlflow

    for fold, run_id in FOLD_RUNS.items():
        if entry.startswith(f"{fold}_"):
            return run_id
    run = mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def _experiment(catalog: DataCatalog) -> str:
    """The selected experiment and TTA view, by the name that its runs bear."""
    experiment = _selected(catalog, "experiments", "unnamed")
    return str(ExperimentId(experiment, _selected(catalog, "test_time", PLAIN_VIEW)))


def _selected(catalog: DataCatalog, name: str, default: str) -> str:
    """The name that a settings block selects; a block that no node asks for is plain."""
    if f"params:{name}" not in catalog:
        return default
    block = catalog.load(f"params:{name}")
    return str(block["selected"] if isinstance(block, dict) else block.selected)
