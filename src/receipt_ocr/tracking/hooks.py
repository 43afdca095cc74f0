"""What is noted around every run: its place in MLflow, and which run wrote which entry."""

import logging
import time
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import DatasetError

from receipt_ocr.datasets.entries import OF_TRAINING, SHARED
from receipt_ocr.tracking.environment import describe_environment, read_commit
from receipt_ocr.tracking.layout import warn_if_away
from receipt_ocr.tracking.runs import FOLD_RUNS, place_run

__all__ = ["Artifacts", "RunPlace", "SavedBy"]

RECORDS = ("run_records", "training_run_records", "shared_run_records")
"""Entries of the catalog that hold a record for each entry that was written: of an experiment's
results, of its detectors, and of what all experiments have in common."""

OF_ONE_FOLD = ("train_fold", "predict_fold")
"""Pipelines that work on the fold that the parameter ``fold`` chooses."""

FOLD_ENTRIES = (
    *("checkpoint", "history", "training_record"),
    *("out_of_fold_maps", "holdout_maps", "test_maps"),
)
"""Entries of these pipelines that are the chosen fold's."""

ARTIFACTS = (
    *("history", "scores", "tuned_postprocess", "submission_csv", "submission_json"),
    *("_plot", "gallery", "report", "report_page", "augmentation_sheet", "step_profile"),
)
"""Entries, or ends of their names, that are copied into the run."""

DATA = ("pages", "words")
"""Entries that say what the data is."""

log = logging.getLogger(__name__)


class RunPlace:
    """Gives each MLflow run its parent, name and tags."""

    @hook_impl(trylast=True)  # once MLflow has opened the run
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: DataCatalog) -> None:
        """Place the run below that of its experiment; see :func:`place_run`."""
        import mlflow

        FOLD_RUNS.clear()  # those of an earlier session in this process
        if mlflow.active_run() is None:
            return
        _leave_blocks_to_us()
        tags = describe_environment(run_params["project_path"])
        place_run(_variant(catalog), _pipeline(run_params), _fold(run_params), tags)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Tag the run with the hash of the data that it sees."""
        if dataset_name not in DATA:
            return
        import mlflow

        if mlflow.active_run() is not None:
            from receipt_ocr.tracking.data_hash import hash_table

            with warn_if_away(f"the hash of {dataset_name}"):
                mlflow.set_tag(f"data.{dataset_name}", hash_table(data))


class Artifacts:
    """Puts what people look at into MLflow, and notes where checkpoints lie."""

    def __init__(self) -> None:
        self._catalog: DataCatalog | None = None
        self._fold: int | None = None

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: DataCatalog) -> None:
        """Remember where files lie."""
        self._catalog, self._fold = catalog, _fold(run_params)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Forget the run."""
        self._catalog = None

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Copy a file that was saved into the run; a server that is away costs no result."""
        is_checkpoint = dataset_name.endswith("checkpoint")
        if self._catalog is None or not (is_checkpoint or dataset_name.endswith(ARTIFACTS)):
            return
        run_id = _run_id(_entry(dataset_name, self._fold))
        if run_id is None:
            return
        from mlflow.tracking import MlflowClient

        file = getattr(self._catalog.get(dataset_name), "_filepath", None)
        with warn_if_away(str(file)):
            if is_checkpoint:
                MlflowClient().set_tag(run_id, "checkpoint", str(file))
            elif file is not None and Path(str(file)).is_file():  # not at a remote address
                MlflowClient().log_artifact(run_id, str(file))


class SavedBy:
    """Notes for every entry of the catalog which run wrote it, so that figures can be traced."""

    def __init__(self) -> None:
        self._catalog: DataCatalog | None = None
        self._common: dict[str, Any] = {}
        self._fold: int | None = None

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: DataCatalog) -> None:
        """Remember what all records of the run have in common."""
        self._catalog, self._fold = catalog, _fold(run_params)
        self._common = {
            "pipeline": _pipeline(run_params),
            "commit": read_commit(run_params["project_path"]),
        }

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Forget the run."""
        self._catalog = None

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Write the record of an entry, if it was saved for later runs."""
        catalog, entry = self._catalog, _entry(dataset_name, self._fold)
        records = _records(entry)
        if catalog is None or dataset_name in RECORDS or records not in catalog:
            return
        if isinstance(catalog.get(dataset_name), MemoryDataset):
            return
        record = {
            "run_id": _run_id(entry),
            **self._common,
            "saved": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            catalog.save(records, {entry: record})
        except (DatasetError, OSError) as error:  # a missing note is not worth a lost training
            log.warning("It is not recorded which run wrote %s: %s", entry, error)


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


def _entry(dataset_name: str, fold: int | None) -> str:
    """The name of an entry in the graph of all folds."""
    if fold is None or dataset_name not in FOLD_ENTRIES:
        return dataset_name
    return f"fold_{fold}_{dataset_name}"


def _records(entry: str) -> str:
    """The entry of the catalog that takes another one's record."""
    own, of_training, shared = RECORDS
    if entry in SHARED:
        return shared
    return of_training if entry.endswith(OF_TRAINING) else own


def _run_id(entry: str) -> str | None:
    """The run of the fold that an entry belongs to, else the active one; None without MLflow."""
    import mlflow

    for fold, run_id in FOLD_RUNS.items():
        if entry.startswith(f"{fold}_"):
            return run_id
    run = mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def _pipeline(run_params: dict[str, Any]) -> str:
    return "+".join(run_params.get("pipeline_names") or ["__default__"])


def _fold(run_params: dict[str, Any]) -> int | None:
    """The fold that is chosen, where one of the pipelines is of one fold."""
    if not set(OF_ONE_FOLD).intersection(run_params.get("pipeline_names") or ()):
        return None
    fold = (run_params.get("runtime_params") or {}).get("fold", 0)
    return fold if isinstance(fold, int) else None


def _variant(catalog: DataCatalog) -> str:
    """The experiment, with its test-time augmentation where there is one."""
    experiment = _selected(catalog, "experiments", "unnamed")
    tta = _selected(catalog, "test_time", "none")
    return experiment if tta == "none" else f"{experiment}@{tta}"


def _selected(catalog: DataCatalog, name: str, default: str) -> str:
    """What a settings block selects; it is plain where no node of the pipeline asks for it."""
    if f"params:{name}" not in catalog:
        return default
    block = catalog.load(f"params:{name}")
    return str(block["selected"] if isinstance(block, dict) else block.selected)
