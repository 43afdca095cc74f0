"""What other experiments have left, found by name."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

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
    dataset = ExperimentsDataset(maps=folder, models=folder, command="kedro run")
    with pytest.raises(DatasetError, match="written by their own stages"):
        dataset.save("anything")  # type: ignore[arg-type]  # nothing can be saved
