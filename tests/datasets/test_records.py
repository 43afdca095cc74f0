"""A folder of small records: written one by one, read together."""

import copy
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest
from kedro.io.core import DatasetError

from receipt_ocr.datasets.records import Records, RecordsDataset
from receipt_ocr.storage.files import open_folder

RECORD = {"hmean": 0.9625, "gap": None, "members": [{"name": "fold_0", "run_id": "a"}]}


@pytest.fixture(params=["local", "remote"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "deep" / "records")
        return
    yield "memory://records_test/records"
    with suppress(FileNotFoundError):  # nothing was written
        fsspec.filesystem("memory").rm("/records_test", recursive=True)


def files_of(address: str) -> list[str]:
    fs, root = fsspec.url_to_fs(address)
    return sorted(path.rpartition("/")[2] for path in fs.ls(root, detail=False))


def test_where_nobody_has_recorded_anything_there_are_no_records(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    assert dataset.load() == {}
    assert not dataset.exists()
    assert RecordsDataset.may_be_missing


def test_records_come_back_in_the_order_of_their_names(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"s2_truth": RECORD, "s1.5": {"experiment": "lite0", "언어": "한국어"}})
    assert dataset.exists()
    found = RecordsDataset(filepath=address).load()
    assert found == {"s1.5": {"experiment": "lite0", "언어": "한국어"}, "s2_truth": RECORD}
    assert list(found) == ["s1.5", "s2_truth"]
    assert files_of(address) == ["s1.5.json", "s2_truth.json"]


def test_saving_adds_and_replaces_and_removes_none(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"a": {"hmean": 0.1}, "b": {"hmean": 0.2}})
    dataset.save({"b": {"gap": 0.3}, "c": {"hmean": 0.4}})
    dataset.save({})
    expected = {"a": {"hmean": 0.1}, "b": {"gap": 0.3}, "c": {"hmean": 0.4}}
    assert dataset.load() == expected
    assert RecordsDataset.of(open_folder(address)).load() == expected


def test_other_files_of_the_folder_are_left_alone(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"s1": RECORD})
    with fsspec.open(f"{address}/submission_s1.csv", "w") as file:
        file.write("filename,polygons\n")
    with fsspec.open(f"{address}/s2.json.partial", "w") as file:  # a writer was killed
        file.write('{"hme')
    assert dataset.load() == {"s1": RECORD}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"hmean": 0.9', r"s1\.json is no JSON \(.*\); mend or delete it"),
        (b"", r"s1\.json is no JSON"),
        (b"\xff\xfe\x00", r"s1\.json is no JSON"),
        (b"[" * 100_000, r"s1\.json is no JSON"),
        (b"[0.9]", r"s1\.json holds no record but a list; mend or delete it"),
        (b"null", r"s1\.json holds no record but a NoneType; mend"),
    ],
    ids=["cut off", "empty", "other bytes", "too deep", "list", "null"],
)
def test_a_file_that_is_no_record_costs_no_other(
    address: str, content: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"s0": RECORD, "s2": RECORD})
    with fsspec.open(f"{address}/s1.json", "wb") as file:
        file.write(content)
    found = dataset.load()
    assert found == {"s0": RECORD, "s2": RECORD}
    assert list(found.faults) == [f"{address}/s1.json"]
    told = " ".join(*found.faults.items())
    assert re.fullmatch(f"{address}/{message}.*", told)
    assert caplog.messages == [told]
    dataset.save({"s1": RECORD})
    assert dataset.load().faults == {}


def test_a_file_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    dataset = RecordsDataset(filepath=str(tmp_path))
    dataset.save({"s0": RECORD})
    (tmp_path / "s1.json").mkdir()
    (tmp_path / "s2.json").symlink_to(tmp_path / "gone")  # listed, and deleted before it is read
    found = dataset.load()
    assert found == {"s0": RECORD}
    ((file, fault),) = found.faults.items()
    assert file == f"{tmp_path}/s1.json"
    assert re.fullmatch(r"cannot be read \(.*directory.*\); mend or delete it", fault)


@pytest.mark.parametrize(
    "double", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_faults_go_with_copies_of_the_records(double: Callable[[Records], Records]) -> None:
    found = double(Records({"s0": RECORD}, {"s1.json": "is no JSON"}))
    assert (dict(found), found.faults) == ({"s0": RECORD}, {"s1.json": "is no JSON"})


def test_a_record_that_cannot_be_written_leaves_the_earlier_ones(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"a": {"hmean": 0.1}})
    with pytest.raises(DatasetError):
        dataset.save({"a": {"hmean": 0.2}, "b": {"path": Path("x")}})
    assert dataset.load() == {"a": {"hmean": 0.1}}
