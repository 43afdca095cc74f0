"""Which run wrote which entry of the catalog: where that is noted, and under which name."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog

from receipt_ocr.datasets.entries import SHARED, name_owner
from receipt_ocr.datasets.experiments import ExperimentsDataset, StoredExperiments
from receipt_ocr.pipeline_registry import register_pipelines
from receipt_ocr.pipelines.training.pipeline import RESULTS
from receipt_ocr.settings import CONFIG_LOADER_ARGS
from receipt_ocr.tracking.hooks import FOLD_ENTRIES, RECORDS, RunPlace, SavedBy
from receipt_ocr.tracking.runs import FOLD_RUNS

PROJECT = Path(__file__).resolve().parents[2]
FLIPS = {"experiment": "lite0", "tta": "flips"}


@pytest.fixture(autouse=True)
def no_folds_of_other_tests() -> Iterator[None]:
    FOLD_RUNS.clear()
    yield
    FOLD_RUNS.clear()


@cache
def read_catalog(experiment: str, tta: str) -> dict[str, Any]:
    params = {"experiment": experiment, "tta": tta, "fold": 3}
    arguments: dict[str, Any] = {**CONFIG_LOADER_ARGS, "runtime_params": params}
    loader = OmegaConfigLoader(str(PROJECT / "conf"), **arguments)
    return dict(loader["catalog"])


def written_by_stages() -> set[str]:
    """Entries of the catalog that some pipeline writes, with a fold's number as a gap."""
    names = {n for p in register_pipelines().values() for n in p.all_outputs()}
    return {n.replace("fold_3_", "fold_{k}_") for n in names} & read_catalog("a", "none").keys()


def test_records_lie_with_whose_the_entries_are() -> None:
    catalogs = [read_catalog(*which) for which in (("a", "none"), ("a", "flips"), ("b", "none"))]

    def places(entry: str) -> list[str]:
        return [str(one[entry].get("filepath") or one[entry]["path"]) for one in catalogs]

    owners = {"": 0, "a": 0, "a@flips": 0}
    for entry in written_by_stages():
        plain, flips, other = places(entry)
        shared = plain == flips == other
        owner = "" if shared else ("a" if plain == flips else "a@flips")
        assert name_owner(entry, "a@flips") == owner, entry
        owners[owner] += 1
    assert owners[""] == len(SHARED)
    assert owners["a"] >= 8
    assert owners["a@flips"] >= 30


def test_entries_of_a_fold_are_those_that_its_pipelines_write() -> None:
    pipelines = register_pipelines()
    written = {
        name
        for pipeline in ("train_fold", "predict_fold")
        for name in pipelines[pipeline].outputs() | pipelines[pipeline].all_outputs()
    }
    assert set(FOLD_ENTRIES) == set(RESULTS) == written & read_catalog("a", "none").keys()


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., None]:
    """Notes that entries were saved by a session."""

    def note(pipelines: list[str] | None, entries: list[str], **params: Any) -> None:
        variant = read_catalog(params.get("experiment", "lite0"), params.get("tta", "none"))
        config = {name: {"type": "json.JSONDataset", "filepath": "never"} for name in entries}
        for name in RECORDS:
            _, _, place = variant[name]["filepath"].partition("/08_reporting/")
            config[name] = {**variant[name], "filepath": str(tmp_path / "08_reporting" / place)}
        catalog, hook = DataCatalog.from_config(config), SavedBy()
        run_params = {
            "pipeline_names": pipelines,
            "runtime_params": params,
            "project_path": PROJECT,
        }
        hook.before_pipeline_run(run_params, catalog)
        for name in (*entries, *RECORDS):
            hook.after_dataset_saved(name)
        hook.after_pipeline_run()

    return note


def read(folder: Path) -> StoredExperiments:
    parts = {name: {"filepath": str(folder / name)} for name in ("maps", "models")}
    reports = {"filepath": str(folder / "08_reporting")}
    return ExperimentsDataset(**parts, reports=reports, command="kedro run").load()


def pipelines_of(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {entry: record["pipeline"] for entry, record in records.items()}


def test_what_all_share_is_recorded_once_and_found_by_every_experiment(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    save(["ingestion"], ["pages", "words"], experiment="wide")
    save(["ensemble"], ["submissions", "scores"], experiment="lite0")
    save(["splitting"], ["folds"], **FLIPS)
    shared = {"pages": "ingestion", "words": "ingestion", "folds": "splitting"}
    shared["submissions"] = "ensemble"
    found = read(tmp_path)
    assert pipelines_of(found.run_records("lite0")) == shared | {"scores": "ensemble"}
    assert pipelines_of(found.run_records("wide")) == shared
    assert found.run_record("wide", "pages") == found.run_record("lite0", "pages")
    save(["ingestion"], ["pages"], experiment="other")  # the latest counts, whoever it was
    save(None, ["words"])
    renewed = pipelines_of(read(tmp_path).run_records("wide"))
    assert renewed == {**shared, "words": "__default__"}


def test_a_training_is_found_whatever_augmentation_was_chosen(
    tmp_path: Path, save: Callable[..., None], tracking_uri: str
) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("receipts")  # another test may have left one of its own database
    trained = ["checkpoint", "history", "training_record"]
    with mlflow.start_run() as run:
        save(["train_fold"], [*trained, "test_maps"], fold=2, **FLIPS)
        save(["final_fit"], ["final_epochs", "final_checkpoint", "final_test_maps"], **FLIPS)
    found = read(tmp_path)
    of_detector = {f"fold_2_{name}" for name in trained} | {"final_epochs", "final_checkpoint"}
    assert found.run_records("lite0").keys() == of_detector
    own = {"fold_2_test_maps", "final_test_maps"}
    assert found.run_records("lite0@flips").keys() == of_detector | own
    for name in ("lite0", "lite0@flips"):
        assert found.training_run(name, 2) == run.info.run_id
        record = found.run_record(name, "final_checkpoint")
        assert record is not None
        assert record["run_id"] == run.info.run_id
    assert found.run_record("lite0", "fold_2_test_maps") is None


def test_a_fold_that_is_trained_with_other_stages_keeps_its_name(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    stages = ["ingestion", "splitting", "train_fold"]
    save(stages, ["pages", "folds", "checkpoint", "test_maps"])
    save(stages, ["history"], fold=4)
    names = {"pages", "folds", "fold_0_checkpoint", "fold_0_test_maps", "fold_4_history"}
    assert read(tmp_path).run_records("lite0").keys() == names


def test_a_second_session_does_not_know_the_runs_of_the_first(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    FOLD_RUNS["fold_0"] = "of the first session"
    save(["train"], ["fold_0_checkpoint"])
    assert read(tmp_path).training_run("lite0", 0) == "of the first session"
    RunPlace().before_pipeline_run({"project_path": PROJECT}, DataCatalog())
    save(["train"], ["fold_0_checkpoint"])
    assert read(tmp_path).training_run("lite0", 0) is None
