"""Which run wrote which entry of the catalog: where that is noted, and under which name."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog

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
def no_folds_of_other_tests() -> Iterator[None]:
    FOLD_RUNS.clear()
    yield
    FOLD_RUNS.clear()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_project("receipt_ocr")
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", str(tmp_path))


def read_catalog(experiment: str = "lite0", tta: str = "none", **_: Any) -> DataCatalog:
    loader = open_config(PROJECT, "base", {})
    return open_catalog(loader, PROJECT, None, ExperimentId(experiment, tta))


@pytest.fixture
def store() -> ExperimentStore:
    return ExperimentStore(partial(open_catalog, open_config(PROJECT, "base", {}), PROJECT, None))


def written_by_stages(catalog: DataCatalog) -> set[str]:
    """Entries of the catalog that some pipeline writes."""
    names = {n for pipeline in register_pipelines().values() for n in pipeline.all_outputs()}
    return {name for name in names if name in catalog}


def test_the_owner_of_an_entry_is_whose_folder_its_file_lies_in() -> None:
    chosen = (("a", "none"), ("a", "flips"), ("b", "none"))
    plain, flips, other = catalogs = [read_catalog(*which) for which in chosen]
    found: dict[str, int] = {}
    for entry in written_by_stages(plain):
        configs = [one.config_resolver.resolve_pattern(entry) for one in catalogs]
        places = [str(config.get("filepath") or config["path"]) for config in configs]
        owner = {1: "all", 2: "detector", 3: "experiment"}[len(set(places))]
        assert EntryNotes.read(plain, entry).owner == owner, entry
        found[owner] = found.get(owner, 0) + 1
    assert found.keys() == RUN_RECORDS.keys()
    assert flips is not other
    assert found["all"] >= 10 and found["detector"] >= 18 and found["experiment"] >= 40


def test_results_of_the_chosen_fold_have_an_entry_by_its_number() -> None:
    pipelines, catalog = register_pipelines(), read_catalog()
    for pipeline in (pipelines["train_fold"], pipelines["predict_fold"]):
        for name in pipeline.all_outputs():
            assert (f"fold_3_{name}" in catalog) == (name in RESULTS), name


@pytest.fixture
def save() -> Save:
    """Notes that entries were saved by a session."""

    def note(pipelines: list[str] | None, entries: list[str], **params: Any) -> None:
        hook = Provenance()
        run_params = {
            "pipeline_names": pipelines,
            "runtime_params": params,
            "project_path": PROJECT,
        }
        hook.before_pipeline_run(run_params, read_catalog(**params))
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
    shared = {"pages": "ingestion", "words": "ingestion", "folds": "splitting"}
    shared["submissions"] = "ensemble"
    assert pipelines_of(store, "lite0") == shared | {"scores": "ensemble"}
    assert pipelines_of(store, "wide") == shared
    assert store.run_record("wide", "pages") == store.run_record("lite0", "pages")
    save(["ingestion"], ["pages"], experiment="other")  # the latest counts, whoever it was
    save(None, ["words"])
    assert pipelines_of(store, "wide") == {**shared, "words": "__default__"}


def test_a_training_is_found_whatever_augmentation_was_chosen(
    store: ExperimentStore, save: Save, tracking_uri: str
) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("receipts")  # another test may have left one of its own database
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
        assert record is not None
        assert record.run_id == run.info.run_id
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
