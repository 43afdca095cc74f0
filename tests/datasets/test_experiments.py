"""Results of other experiments, found by name through the project's own catalog."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from kedro.framework.project import configure_project
from kedro.io.core import DatasetError

from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.datasets.project import open_catalog, open_config
from receipt_ocr.decoding.maps import LazyMaps, ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.identity import ExperimentId
from receipt_ocr.records import ChosenPostprocess, TrainingRecord

PROJECT = Path(__file__).resolve().parents[2]


class Workspace:
    """A workspace of the environment sroie, with its store."""

    def __init__(self, address: str) -> None:
        loader = open_config(PROJECT, "sroie", {"experiment": "selected"})
        self.open = partial(open_catalog, loader, PROJECT, None)
        self.address = f"{address}/sroie"
        self.store = ExperimentStore(self.open, "kedro run --env=sroie")

    def save(self, experiment: str, **entries: Any) -> None:
        for entry, content in entries.items():
            self.open(ExperimentId.parse(experiment)).save(entry, content)

    def write(self, path: str, content: str) -> None:
        with fsspec.open(f"{self.address}/{path}", "w", auto_mkdir=True) as file:
            file.write(content)

    def note(self, name: str, *entries: str) -> None:
        """Note that a run wrote entries, in the folder of an experiment, or of what all share."""
        for entry in entries:
            record = {"run_id": f"{name}: {entry}", "pipeline": "", "commit": None, "saved": ""}
            folder = "/".join(["08_reporting", *([name] if name else []), "runs"])
            self.write(f"{folder}/{entry}.json", json.dumps(record))


@pytest.fixture(params=["local", "remote"])
def workspace(
    request: pytest.FixtureRequest, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    configure_project("receipt_ocr")
    address = str(tmp_path) if request.param == "local" else "memory:///experiments"
    monkeypatch.setenv("RECEIPT_OCR_WORKSPACE", address)
    return Workspace(address)


def test_maps_and_histories_are_found_by_experiment_and_fold(workspace: Workspace) -> None:
    page = ProbabilityMap(np.full((2, 3), 7, dtype=np.uint8), np.eye(3), 3, 2)
    for name in ("wide", "wide@flips"):
        workspace.save(name, fold_2_test_maps=LazyMaps({"a.jpg": lambda: page}, source=name))
    history = pd.DataFrame({"epoch": [0, 1], "hmean": [0.5, 0.75]})
    workspace.save("wide", fold_2_history=history)
    store = workspace.store
    for name in ("wide", "wide@flips"):
        maps = store.maps(name, 2, "test")
        assert maps.source == name
        np.testing.assert_array_equal(maps["a.jpg"]().probability, page.probability)
        found = store.history(name, 2)  # a view of pages has no training of its own
        assert found is not None
        pd.testing.assert_frame_equal(found, history)
    assert store.history("wide", 3) is None
    workspace.save("wide", fold_3_history=history)  # written by the same run
    assert store.history("wide", 3) is not None


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("wide", "--pipeline=train_fold --params fold=3,experiment=wide$"),
        ("wide@flips", "--pipeline=predict_fold --params fold=3,experiment=wide,tta=flips$"),
    ],
)
def test_missing_maps_are_an_error_that_names_the_command(
    workspace: Workspace, name: str, command: str
) -> None:
    message = f"no probability maps in .*{name}/fold_3/holdout_maps; .*env=sroie {command}"
    with pytest.raises(FileNotFoundError, match=message):
        len(workspace.store.maps(name, 3, "holdout"))


PAGE_SCORES = pd.DataFrame({"member": ["fold_0"], "page": ["p0"], "hmean": [0.9]})
CHOSEN = ChosenPostprocess(source="tuned", postprocess=PostprocessSettings(thresh=0.3))
TRAINING = TrainingRecord(
    best_epoch=1,
    precision=None,
    recall=None,
    hmean=None,
    epochs=2,
    seconds=1.5,
    stopped_by="2 epochs",
    parameters={"encoder": 7},
    checkpoint_bytes=28,
)


def save_scores(workspace: Workspace, name: str) -> None:
    workspace.save(name, page_scores=PAGE_SCORES, chosen_postprocess=CHOSEN)


def test_experiments_that_were_scored_are_listed_by_name(workspace: Workspace) -> None:
    assert workspace.store.names() == []
    for name in ("wide@flips", "lite0", "wide"):
        save_scores(workspace, name)
    workspace.note("unscored", "fold_0_checkpoint")
    assert workspace.store.names() == ["lite0", "wide", "wide@flips"]


def test_what_was_not_written_is_none(workspace: Workspace) -> None:
    store = workspace.store
    for read in (store.page_scores, store.chosen_postprocess, store.tuned_postprocess):
        assert read("wide") is None
    assert store.training("wide", 0) is None
    assert store.run_record("wide", "fold_0_checkpoint") is None
    assert store.training_run("wide", 0) is None
    assert store.run_records("wide@flips") == {}


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("06_models/wide/fold_0_training.json", "{", "is no JSON"),
        ("06_models/wide/fold_0_training.json", '{"best_epoch": 1}', "lacks precision"),
        ("08_reporting/wide/page_scores.parquet", "{", r"is damaged \(.*; delete it"),
    ],
)
def test_a_file_that_is_damaged_is_an_error_and_not_none(
    workspace: Workspace, file: str, content: str, fault: str
) -> None:
    workspace.write(file, content)
    with pytest.raises(DatasetError, match=rf"(?s){re.escape(file)} {fault}"):
        (workspace.store.training("wide", 0), workspace.store.page_scores("wide"))


def test_scores_and_trainings_are_found_by_experiment(workspace: Workspace) -> None:
    save_scores(workspace, "wide@flips")
    workspace.save("wide", fold_0_training_record=TRAINING)
    store = workspace.store
    scores = store.page_scores("wide@flips")
    assert scores is not None
    pd.testing.assert_frame_equal(scores, PAGE_SCORES)
    assert store.chosen_postprocess("wide@flips") == CHOSEN
    assert store.chosen_postprocess("wide") is None
    assert store.training("wide@flips", 0) == store.training("wide", 0) == TRAINING


def test_a_note_counts_where_the_owner_of_its_entry_has_it(workspace: Workspace) -> None:
    trained = ("fold_0_checkpoint", "final_checkpoint")
    results = ("page_scores", "fold_0_test_maps")
    workspace.note("", "pages")
    workspace.note("wide", *trained, *results, "pages")  # that by an earlier version is stale
    workspace.note("wide@flips", "page_scores")
    workspace.note("wider", "fold_1_checkpoint")
    store = workspace.store
    common = {"pages": ": pages", **{entry: f"wide: {entry}" for entry in trained}}
    expected = {
        "wide": common | {entry: f"wide: {entry}" for entry in results},
        "wide@flips": common | {"page_scores": "wide@flips: page_scores"},
    }
    for name, runs in expected.items():
        assert {entry: one.run_id for entry, one in store.run_records(name).items()} == runs
        record = store.run_record(name, "page_scores")
        assert record is not None and record.run_id == runs["page_scores"]
        assert store.training_run(name, 0) == "wide: fold_0_checkpoint"
