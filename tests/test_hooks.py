"""Around a run: its settings are logged, and of several processes only the first one writes."""

from pathlib import Path

import mlflow
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.json import JSONDataset

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.hooks import ParameterLog, RankZeroOnly
from receipt_ocr.records import FinalEpochs


def write_out(number: int) -> str:
    return str(number)


PIPELINE = Pipeline([Node(write_out, "number", "text")])


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return DataCatalog(
        {"number": MemoryDataset(1), "text": JSONDataset(filepath=str(tmp_path / "text.json"))}
    )


def start(patch: pytest.MonkeyPatch, rank: int, processes: int = 2) -> None:
    patch.setenv("TORCHELASTIC_RUN_ID", "none")
    patch.setenv("RANK", str(rank))
    patch.setenv("WORLD_SIZE", str(processes))


@pytest.mark.parametrize(("rank", "kind"), [(0, JSONDataset), (1, MemoryDataset)])
def test_only_the_first_process_saves(
    catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch, rank: int, kind: type
) -> None:
    start(monkeypatch, rank)
    run = {"pipeline_names": ["final_fit"]}
    RankZeroOnly().before_pipeline_run(run, PIPELINE, catalog)
    assert isinstance(catalog["text"], kind)
    assert catalog.load("number") == 1


def test_what_cannot_be_shared_is_refused(
    catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in (None, ["train"], ["train_fold", "final_fit"]):
        run = {"pipeline_names": names}
        RankZeroOnly().before_pipeline_run(run, PIPELINE, catalog)  # by itself
        with monkeypatch.context() as patch:
            start(patch, 0, processes=1)
            RankZeroOnly().before_pipeline_run(run, PIPELINE, catalog)
            start(patch, 0)
            with pytest.raises(ValueError, match=r"torchrun started 2 processes.* only train_fold"):
                RankZeroOnly().before_pipeline_run(run, PIPELINE, catalog)


def test_settings_are_logged_and_records_are_not(tracking_uri: str) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    inputs = {
        "params:ensemble": EnsembleSettings(members=0),
        "final_epochs": FinalEpochs(epochs=3, peaks={"lite0@flips/fold_0": 2}),
    }
    with mlflow.start_run() as run:
        ParameterLog().before_node_run(PIPELINE.nodes[0], inputs)
    params = mlflow.get_run(run.info.run_id).data.params
    assert params["ensemble.members"] == "0"
    assert {name.partition(".")[0] for name in params} == {"ensemble"}
