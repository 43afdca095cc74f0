"""A run that several processes share: only the first one writes."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.json import JSONDataset

from receipt_ocr.hooks import RankZeroOnly


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
