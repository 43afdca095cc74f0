"""Which run wrote which entry of the catalog: where that is noted, and under which name."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from mlflow.tracking import MlflowClient

from receipt_ocr.datasets.entries import RUN_RECORDS, EntryNotes
from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.datasets.project import open_catalog, open_config
from receipt_ocr.identity import ExperimentId
from receipt_ocr.pipeline_registry import register_pipelines
from receipt_ocr.pipelines.training.pipeline import RESULTS
from receipt_ocr.tracking.hooks import MlflowRun, Provenance
from receipt_ocr.tracking.runs import FOLD_RUNS

PROJECT = Path(__file__).resolve().parents[2]
FLIPS = {"experiment": "lite0", "tta": "flips"}
IN_MEMORY = {"experiment_store", "split", "page_hashes"}

Save = Callable[..., None]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_project("receipt_ocr")
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path))


def open_entries(experiment: ExperimentId) -> DataCatalog:
    return open_catalog(open_config(PROJECT, "base", {}), PROJECT, None, experiment)


@pytest.fixture
def store() -> ExperimentStore:
    return ExperimentStore(open_entries)


def test_the_owner_of_an_entry_is_whose_folder_its_file_lies_in() -> None:
    plain, *_ = catalogs = [open_entries(ExperimentId.parse(one)) for one in ("a", "a@flips", "b")]
    written = {name for stage in register_pipelines().values() for name in stage.all_outputs()}
    found: Counter[str] = Counter()
    for entry in filter(plain.__contains__, written):
        configs = [one.config_resolver.resolve_pattern(entry) for one in catalogs]
        places = [str(config.get("filepath") or config["path"]) for config in configs]
        owner = {1: "all", 2: "detector", 3: "experiment"}[len(set(places))]
        assert EntryNotes.read(plain, entry).owner == owner, entry
        found[owner] += 1
    assert found.keys() == RUN_RECORDS.keys()
    assert found["all"] >= 10 and found["detector"] >= 18 and found["experiment"] >= 40


def test_results_of_the_chosen_fold_have_an_entry_by_its_number() -> None:
    pipelines, catalog = register_pipelines(), open_entries(ExperimentId("lite0"))
    for pipeline in (pipelines["train_fold"], pipelines["predict_fold"]):
        for name in pipeline.all_outputs():
            assert (f"fold_3_{name}" in catalog) == (name in RESULTS), name


@pytest.fixture
def save() -> Save:
    """Notes that entries were saved by a session."""

    def note(pipelines: list[str] | None, entries: list[str], **params: Any) -> None:
        hook = Provenance()
        run = {"pipeline_names": pipelines, "runtime_params": params, "project_path": PROJECT}
        own = ExperimentId(params.get("experiment", "lite0"), params.get("tta", "none"))
        hook.before_pipeline_run(run, open_entries(own))
        for name in (*entries, *RUN_RECORDS.values(), *IN_MEMORY):
            hook.after_dataset_saved(name)
        hook.after_pipeline_run()
        hook.after_dataset_saved("pages")  # of no run

    return note


def pipelines_of(store: ExperimentStore, experiment: str) -> dict[str, str]:
    return {entry: record.pipeline for entry, record in store.run_records(experiment).items()}


def test_what_all_share_is_recorded_once_and_found_by_every_experiment(
    store: ExperimentStore, save: Save
) -> None:
    save(["ingestion"], ["pages", "words"], experiment="wide")
    save(["ensemble"], ["submissions", "scores"], experiment="lite0")
    save(["splitting"], ["folds"], **FLIPS)
    shared = dict.fromkeys(("pages", "words"), "ingestion")
    shared |= {"folds": "splitting", "submissions": "ensemble"}
    assert pipelines_of(store, "lite0") == shared | {"scores": "ensemble"}
    assert pipelines_of(store, "wide") == shared
    assert store.run_record("wide", "pages") == store.run_record("lite0", "pages")
    save(["ingestion"], ["pages"], experiment="other")  # the latest counts, whoever it was
    save(None, ["words"])
    assert pipelines_of(store, "wide") == {**shared, "words": "__default__"}


def test_a_training_is_found_whatever_augmentation_was_chosen(
    store: ExperimentStore, save: Save, client: MlflowClient
) -> None:
    trained = ["checkpoint", "history", "training_record"]
    with mlflow.start_run() as run:
        save(["train_fold"], [*trained, "test_maps"], fold=2, **FLIPS)
        save(["final_fit"], ["final_epochs", "final_checkpoint", "final_test_maps"], **FLIPS)
    of_detector = {f"fold_2_{name}" for name in trained} | {"final_epochs", "final_checkpoint"}
    assert store.run_records("lite0").keys() == of_detector
    own = {"fold_2_test_maps", "final_test_maps"}
    assert store.run_records("lite0@flips").keys() == of_detector | own
    for name in ("lite0", "lite0@flips"):
        assert store.training_run(name, 2) == run.info.run_id
        record = store.run_record(name, "final_checkpoint")
        assert record and record.run_id == run.info.run_id
    assert store.run_record("lite0", "fold_2_test_maps") is None


def test_a_fold_that_is_trained_with_other_stages_keeps_its_name(
    store: ExperimentStore, save: Save
) -> None:
    stages = ["ingestion", "splitting", "train_fold"]
    save(stages, ["pages", "folds", "checkpoint", "test_maps"])
    save(stages, ["history"], fold=4)
    names = {"pages", "folds", "fold_0_checkpoint", "fold_0_test_maps", "fold_4_history"}
    assert store.run_records("lite0").keys() == names


def test_a_second_session_does_not_know_the_runs_of_the_first(
    store: ExperimentStore, save: Save
) -> None:
    FOLD_RUNS["fold_0"] = "of the first session"
    save(["train"], ["fold_0_checkpoint"])
    assert store.training_run("lite0", 0) == "of the first session"
    MlflowRun().before_pipeline_run({"project_path": PROJECT}, DataCatalog())
    save(["train"], ["fold_0_checkpoint"])
    assert store.training_run("lite0", 0) is None
