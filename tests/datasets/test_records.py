"""A folder of small records: written one by one, read together."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest
from kedro.io.core import DatasetError

from receipt_ocr.datasets.records import RecordsDataset
from receipt_ocr.storage import open_folder

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
        (b"[0.9]", r"s1\.json holds no record; delete it"),
    ],
)
def test_a_file_that_is_no_record_is_named(address: str, content: bytes, message: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"s0": RECORD})
    with fsspec.open(f"{address}/s1.json", "wb") as file:
        file.write(content)
    with pytest.raises(DatasetError, match=f"{address}/{message}"):
        dataset.load()


def test_a_record_that_cannot_be_written_leaves_the_earlier_ones(address: str) -> None:
    dataset = RecordsDataset(filepath=address)
    dataset.save({"a": {"hmean": 0.1}})
    with pytest.raises(DatasetError):
        dataset.save({"a": {"hmean": 0.2}, "b": {"path": Path("x")}})
    assert dataset.load() == {"a": {"hmean": 0.1}}
