"""What other experiments have left, found by name."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from kedro.io.core import DatasetError

from receipt_ocr.datasets.experiments import ExperimentsDataset, StoredExperiments
from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset
from receipt_ocr.decoding.maps import LazyMaps, ProbabilityMap


@pytest.fixture(params=["local", "remote"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path)
        return
    yield "memory://experiments"
    with suppress(FileNotFoundError):  # nothing was written
        fsspec.filesystem("memory").rm("/experiments", recursive=True)


def open_all(address: str) -> StoredExperiments:
    return ExperimentsDataset(
        maps={"filepath": f"{address}/maps"},
        models={"filepath": f"{address}/models"},
        reports={"filepath": f"{address}/reports"},
        command="kedro run --env=sroie",
    ).load()


def test_maps_and_histories_are_found_by_experiment_and_fold(address: str) -> None:
    page = ProbabilityMap(np.full((2, 3), 7, dtype=np.uint8), np.eye(3), 3, 2)
    for variant in ("wide", "wide@flips"):
        folder = f"{address}/maps/{variant}/fold_2/test_maps"
        maps = LazyMaps({"a.jpg": lambda: page}, source=variant)
        ProbabilityMapsDataset(filepath=folder).save(maps)
    with fsspec.open(f"{address}/models/wide/fold_2_history.csv", "w", auto_mkdir=True) as file:
        pd.DataFrame({"epoch": [0, 1], "hmean": [0.5, 0.75]}).to_csv(file, index=False)
    stored = open_all(address)
    for variant in ("wide", "wide@flips"):
        maps = stored.maps(variant, 2, "test")
        assert maps.source == variant
        np.testing.assert_array_equal(maps["a.jpg"]().probability, page.probability)
        history = stored.history(variant, 2)  # how it looks at pages has no training of its own
        assert history is not None
        assert history["hmean"].tolist() == [0.5, 0.75]
    assert stored.history("wide", 3) is None


def test_missing_maps_are_an_error_that_names_the_command(address: str) -> None:
    stored = open_all(address)
    for variant, command in (
        ("wide", "--pipeline=train_fold --params fold=3,experiment=wide$"),
        ("wide@flips", "--pipeline=predict_fold --params fold=3,experiment=wide,tta=flips$"),
    ):
        message = f"no probability maps in .*{variant}/fold_3/holdout_maps; .*env=sroie {command}"
        with pytest.raises(FileNotFoundError, match=message):
            len(stored.maps(variant, 3, "holdout"))


def test_it_cannot_be_written(tmp_path: Path) -> None:
    folder = {"filepath": str(tmp_path)}
    dataset = ExperimentsDataset(maps=folder, models=folder, reports=folder, command="kedro run")
    with pytest.raises(DatasetError, match="written by their own stages"):
        dataset.save("anything")  # type: ignore[arg-type]  # nothing can be saved


PAGE_SCORES = pd.DataFrame(
    [
        ("fold_0", "out_of_fold", "p0", 0.9),
        ("fold_1", "out_of_fold", "p1", 0.7),
        ("other/fold_0", "out_of_fold", "p1", 0.1),
        ("ensemble", "holdout", "h0", 0.95),
    ],
    columns=["member", "subset", "page", "hmean"],
)
VOTING = ("fold_0", "fold_1", "other/fold_0")
CHOSEN: dict[str, Any] = {
    "source": "tuned",
    "postprocess": {"thresh": 0.3},
    "members": {
        "names": list(VOTING),
        "weights": [0.5, 0.25, 0.25],
        "sources": dict.fromkeys(VOTING, "a detector"),
        "mean": "probability",
    },
}
SUBMITTED: dict[str, Any] = {
    "submission": "s1",
    "kind": "ensemble",
    "postprocess": {"thresh": 0.3},
    "members": [
        {"name": name, "weight": weight}
        for name, weight in zip(VOTING, (0.5, 0.25, 0.25), strict=True)
    ],
    "sources": dict.fromkeys(VOTING, "a detector"),
    "mean": "probability",
}
TRAINING = {"parameters": {"encoder": 7}, "checkpoint_bytes": 28, "seconds": 1.5}


def write(path: str, content: Any) -> None:
    with fsspec.open(path, "w", auto_mkdir=True, encoding="utf-8") as file:
        json.dump(content, file)


def write_scores(address: str, name: str, chosen: dict[str, Any] | None = None) -> None:
    scores = f"{address}/reports/{name}/page_scores.parquet"
    with fsspec.open(scores, "wb", auto_mkdir=True) as file:
        PAGE_SCORES.to_parquet(file)
    write(f"{address}/maps/{name}/ensemble/postprocess.json", chosen or CHOSEN)


def write_run(address: str, name: str, entry: str) -> None:
    write(f"{address}/reports/{name}/runs/{entry}.json", {"run_id": f"{name}: {entry}"})


def test_experiments_that_were_scored_are_listed_by_name(address: str) -> None:
    assert open_all(address).names() == []
    for name in ("wide@flips", "lite0", "wide"):
        write_scores(address, name)
    write_run(address, "unscored", "fold_0_checkpoint")
    assert open_all(address).names() == ["lite0", "wide", "wide@flips"]


def test_what_was_not_written_is_none(address: str) -> None:
    stored = open_all(address)
    assert stored.page_scores("wide") is None
    assert stored.chosen_postprocess("wide") is None
    assert stored.training("wide", 0) is None
    assert stored.run_record("wide", "fold_0_checkpoint") is None
    assert stored.training_run("wide", 0) is None
    assert stored.run_records("wide@flips") == {}
    assert stored.experiment("wide", [], []) is None
    write_scores(address, "wide")
    fold_less = open_all(address).experiment("wide", [], [])
    assert fold_less is not None
    assert fold_less.histories == fold_less.trainings == {"fold_0": None, "fold_1": None}


def test_a_file_that_is_damaged_is_an_error_and_not_none(address: str) -> None:
    with fsspec.open(f"{address}/models/wide/fold_0_training.json", "w", auto_mkdir=True) as file:
        file.write("{")
    with pytest.raises(DatasetError, match=r"fold_0_training\.json is damaged"):
        open_all(address).training("wide", 0)


@pytest.mark.parametrize("name", ["wide", "wide@flips"])
def test_an_experiment_is_gathered_with_its_own_folds(address: str, name: str) -> None:
    write_scores(address, name)
    write(f"{address}/models/wide/fold_0_training.json", TRAINING)
    write_run(address, "wide", "fold_1_checkpoint")
    with fsspec.open(f"{address}/models/wide/fold_1_history.csv", "w", auto_mkdir=True) as file:
        pd.DataFrame({"epoch": [0, 1], "hmean": [0.5, 0.75]}).to_csv(file, index=False)
    others: list[dict[str, Any]] = [{"experiment": "wide@rotations"}, {"experiment": "lite0"}]
    submissions = [others[0], {"experiment": name, **SUBMITTED}, others[1]]
    told: dict[str, Any] = {
        "experiment": name,
        "submission": "s1",
        "source": "leaderboard",
        "hmean": 0.9,
    }
    leaderboard = [told, *others]
    one = open_all(address).experiment(name, submissions, leaderboard)
    assert one is not None
    assert (one.name, one.thresholds, one.chosen) == (name, "tuned", CHOSEN)
    assert one.guests == ["other/fold_0"]
    pd.testing.assert_frame_equal(one.page_scores, PAGE_SCORES)
    assert one.hmeans("out_of_fold").to_dict() == {"p0": 0.9, "p1": 0.7}
    assert list(one.histories) == list(one.trainings) == ["fold_0", "fold_1"]
    assert one.histories["fold_0"] is None
    history = one.histories["fold_1"]
    assert history is not None and history["hmean"].tolist() == [0.5, 0.75]
    assert one.trainings == {"fold_0": TRAINING, "fold_1": None}
    assert one.submissions == [submissions[1]]
    assert one.leaderboard == [told]
    assert (one.submission, one.score) == (submissions[1], told)  # as it was read from JSON


def test_looking_at_pages_in_another_way_shares_the_trainings_alone(address: str) -> None:
    trained = ["fold_0_checkpoint", "fold_0_history", "fold_0_training_record", "final_checkpoint"]
    for entry in (*trained, "page_scores", "fold_0_test_maps", "history_plot"):
        write_run(address, "wide", entry)
    for entry in ("page_scores", "submission_csv"):
        write_run(address, "wide@flips", entry)
    write_run(address, "wider", "fold_1_checkpoint")
    for entry in ("pages", "submission_records"):  # of all experiments
        write(f"{address}/reports/runs/{entry}.json", {"run_id": f"all: {entry}"})
        write_run(address, "wide", entry)  # by an earlier version: it may be stale
    stored = open_all(address)
    found = {entry: record["run_id"] for entry, record in stored.run_records("wide@flips").items()}
    assert found == {entry: f"wide: {entry}" for entry in trained} | {
        entry: f"wide@flips: {entry}" for entry in ("page_scores", "submission_csv")
    } | {entry: f"all: {entry}" for entry in ("pages", "submission_records")}
    own = stored.run_records("wide")
    shared = ["pages", "submission_records"]
    results = ["page_scores", "fold_0_test_maps", "history_plot"]
    assert sorted(own) == sorted([*trained, *results, *shared])
    for entry, record in own.items():
        assert record["run_id"] == f"{'all' if entry in shared else 'wide'}: {entry}"
    assert stored.run_record("wide@flips", "pages") == {"run_id": "all: pages"}
    assert stored.training_run("wide@flips", 0) == "wide: fold_0_checkpoint"
    assert stored.run_record("wide@flips", "page_scores") == {"run_id": "wide@flips: page_scores"}
