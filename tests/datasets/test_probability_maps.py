"""Stored maps: lossless, lazy, and whole or not at all."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset, StoredMaps
from receipt_ocr.decoding.maps import ProbabilityMap

LoadMap = Callable[[], ProbabilityMap]


def make_map(seed: int) -> ProbabilityMap:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (40, 30), dtype=np.uint8)
    values[0, :2] = 0, 255
    matrix = np.array([[1 / 3, 0.0, -0.1], [0.0, 1.7, 1e-9], [0.0, 0.0, 1.0]])
    return ProbabilityMap(values, matrix, width=123, height=456)


def lazy(*names: str) -> dict[str, LoadMap]:
    return {name: partial(make_map, len(name)) for name in names}


def fail() -> ProbabilityMap:
    raise RuntimeError("the power went out")


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "fold_0" / "test_maps"


@pytest.fixture
def dataset(folder: Path) -> ProbabilityMapsDataset:
    command = "kedro run --pipeline=train_fold --params fold=0"
    return ProbabilityMapsDataset(filepath=str(folder), made_by=command)


def test_maps_return_to_the_bit(dataset: ProbabilityMapsDataset) -> None:
    pages = ["a.jpg", "sub/b.png", "영수증.jpg"]
    assert not dataset.exists()
    dataset.save(lazy(*pages))
    assert dataset.exists()
    stored = dataset.load()
    assert list(stored) == pages
    assert len(stored) == 3
    for name in pages:
        read, expected = stored[name](), make_map(len(name))
        np.testing.assert_array_equal(read.probability, expected.probability)
        np.testing.assert_array_equal(read.map_to_page, expected.map_to_page)
        assert (read.width, read.height) == (123, 456)


def test_no_pages_are_an_empty_set_of_maps(dataset: ProbabilityMapsDataset) -> None:
    dataset.save({})
    assert dataset.exists()
    assert dict(dataset.load()) == {}


def test_an_interruption_leaves_nothing_where_nothing_was(
    dataset: ProbabilityMapsDataset, folder: Path
) -> None:
    with pytest.raises(DatasetError, match="the power went out"):
        dataset.save({**lazy("a.jpg"), "b.jpg": fail})
    assert not folder.exists()
    assert not dataset.exists()
    dataset.save(lazy("c.jpg"))  # what the interruption left is no obstacle
    assert list(dataset.load()) == ["c.jpg"]
    assert names_in(folder.parent) == ["test_maps"]


def test_an_interruption_leaves_the_earlier_maps(
    dataset: ProbabilityMapsDataset, folder: Path
) -> None:
    dataset.save(lazy("old.jpg"))
    with pytest.raises(DatasetError, match="the power went out"):
        dataset.save({**lazy("a.jpg", "b.jpg"), "c.jpg": fail})
    assert names_in(folder) == ["00000.png", "frames.json"]
    assert list(dataset.load()) == ["old.jpg"]
    assert dataset.load()["old.jpg"]().width == 123


def test_saving_again_replaces_every_map(dataset: ProbabilityMapsDataset, folder: Path) -> None:
    dataset.save(lazy("a.jpg", "b.jpg"))
    dataset.save(lazy("c.jpg"))
    assert names_in(folder) == ["00000.png", "frames.json"]
    assert names_in(folder.parent) == ["test_maps"]


def test_missing_maps_are_no_error_until_asked_for_and_name_the_command(
    dataset: ProbabilityMapsDataset,
) -> None:
    stored = dataset.load()
    message = r"no probability maps in .*test_maps; make them with: kedro run .*fold=0"
    with pytest.raises(FileNotFoundError, match=message):
        stored["a.jpg"]
    with pytest.raises(FileNotFoundError, match=message):
        list(stored)
    with pytest.raises(FileNotFoundError, match=r"test_maps$"):
        len(StoredMaps(stored.folder))


def test_a_page_that_has_no_map_is_a_key_error(dataset: ProbabilityMapsDataset) -> None:
    dataset.save(lazy("a.jpg"))
    with pytest.raises(KeyError, match=r"b\.jpg"):
        dataset.load()["b.jpg"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"torn")])
def test_a_damaged_map_names_page_and_file(
    dataset: ProbabilityMapsDataset, folder: Path, damage: Callable[[Path], object]
) -> None:
    dataset.save(lazy("a.jpg"))
    damage(folder / "00000.png")
    read = dataset.load()["a.jpg"]
    with pytest.raises(ValueError, match=r"map of page 'a\.jpg' cannot be read from .*00000\.png"):
        read()
