"""Stored maps: lossless, lazy, and whole or not at all, at local and remote addresses."""

import pickle
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from kedro.io import DatasetError

from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset, StoredMaps
from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.storage.files import Folder, open_folder


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


def names_in(folder: Folder) -> list[str]:
    return [name.rpartition("/")[2] for name in sorted(folder.stamps())]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receipt_ocr.datasets.probability_maps.BATCH", 2)


@pytest.fixture
def folder(any_address: str) -> Folder:
    return open_folder(any_address) / "fold_0/test_maps"


@pytest.fixture
def dataset(folder: Folder) -> ProbabilityMapsDataset:
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
        read, expected = pickle.loads(pickle.dumps(stored[name]))(), make_map(len(name))
        np.testing.assert_array_equal(read.probability, expected.probability)
        np.testing.assert_array_equal(read.map_to_page, expected.map_to_page)
        assert (read.width, read.height) == (123, 456)


def test_no_pages_are_an_empty_set_of_maps(dataset: ProbabilityMapsDataset) -> None:
    dataset.save({})
    assert dataset.exists()
    assert dict(dataset.load()) == {}


def test_an_interruption_leaves_the_earlier_maps_and_no_traces_after_the_next_save(
    dataset: ProbabilityMapsDataset, folder: Folder
) -> None:
    with pytest.raises(DatasetError, match="the power went out"):
        dataset.save({**lazy("a.jpg", "b.jpg"), "c.jpg": fail})
    assert not dataset.exists()
    dataset.save(lazy("old.jpg"))
    with pytest.raises(DatasetError, match="the power went out"):
        dataset.save({**lazy("a.jpg", "bb.jpg"), "c.jpg": fail})
    assert list(dataset.load()) == ["old.jpg"]
    read = dataset.load()["old.jpg"]().probability
    np.testing.assert_array_equal(read, make_map(len("old.jpg")).probability)
    dataset.save(lazy("new.jpg"))
    assert names_in(folder) == ["00000.png", "frames.json"]
    if folder.local is not None:
        assert [entry.name for entry in folder.entries()] == ["00000.png", "frames.json"]
        assert [entry.name for entry in folder.parent.entries()] == ["test_maps"]  # no leftovers


def test_saving_replaces_maps_that_lie_beside_their_index(
    dataset: ProbabilityMapsDataset, folder: Folder
) -> None:
    dataset.save(lazy("a.jpg"))
    file, index = dataset.load().index["a.jpg"]["file"], folder.read("frames.json")
    folder.write({"00000.png": folder.read(file)})  # as a local folder has it
    folder.write({"frames.json": index.replace(file.encode(), b"00000.png")})
    assert dataset.load()["a.jpg"]().width == 123
    dataset.save(lazy("b.jpg"))
    assert names_in(folder) == ["00000.png", "frames.json"]
    assert dataset.load()["b.jpg"]().width == 123


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


@pytest.mark.parametrize("damage", [Folder.remove, lambda file: file.write({"": b"torn"})])
def test_a_damaged_map_names_page_and_file(
    dataset: ProbabilityMapsDataset, folder: Folder, damage: Callable[[Folder], object]
) -> None:
    dataset.save(lazy("a.jpg"))
    damage(folder / dataset.load().index["a.jpg"]["file"])
    read = dataset.load()["a.jpg"]
    with pytest.raises(ValueError, match=r"map of page 'a\.jpg' cannot be read from .*00000\.png"):
        read()
