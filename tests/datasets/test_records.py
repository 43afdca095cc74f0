"""Records as JSON: one in a file, or a folder of them that is written one by one."""

import copy
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io.core import DatasetError

from receipt_ocr.datasets.records import RecordDataset, Records, RecordsDataset
from receipt_ocr.records import FinalEpochs, NoRecord, RunRecord, TunedPostprocess


def record(run_id: str | None = "a", pipeline: str = "tuning") -> RunRecord:
    return RunRecord(run_id=run_id, pipeline=pipeline, commit=None, saved="2026-01-02T03:04:05Z")


RECORD, OTHER = record(), record(None, "언어")
EPOCHS = FinalEpochs(epochs=7, peaks={"fold_0": 6})
TUNED = {
    "postprocess": {"thresh": 0.4},
    "members": ["fold_0"],
    "sources": {"fold_0": "first"},
    "pages": 9,
    "chosen_hmean": 0.9,
    "recipe_hmean": 0.8,
}


def write(file: str, content: bytes | dict[str, Any]) -> None:
    fs, path = fsspec.url_to_fs(file)
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, content if isinstance(content, bytes) else json.dumps(content).encode())


def open_tuned(folder: object, *, optional: bool = False) -> RecordDataset:
    file = f"{folder}/tuned.json"
    return RecordDataset(filepath=file, record="TunedPostprocess", optional=optional)


def open_records(address: str) -> RecordsDataset:
    return RecordsDataset(filepath=address, record="RunRecord")


class TestOneRecord:
    def test_it_comes_back_as_it_was_saved(self, any_address: str) -> None:
        dataset = RecordDataset(filepath=f"{any_address}/epochs.json", record="FinalEpochs")
        dataset.save(EPOCHS)
        dotted = "receipt_ocr.records.FinalEpochs"
        again = RecordDataset(filepath=f"{any_address}/epochs.json", record=dotted)
        assert again.exists()
        assert again.load() == EPOCHS
        assert "fold_0" in str(again.preview())
        dataset.save({"epochs": 3, "peaks": {}})
        assert again.load() == FinalEpochs(epochs=3, peaks={})

    def test_a_file_that_is_absent_is_none_where_that_is_allowed(self, any_address: str) -> None:
        optional = open_tuned(any_address, optional=True)
        assert optional.may_be_missing
        assert not optional.exists()
        assert (optional.load(), optional.preview()) == (None, None)
        with pytest.raises(DatasetError, match=r"tuned\.json is not there yet; run --pipeline=tun"):
            open_tuned(any_address).load()

    def test_a_stage_may_have_had_nothing_to_record(self, any_address: str) -> None:
        dataset = open_tuned(any_address, optional=True)
        dataset.save(NoRecord())
        assert dataset.exists()
        assert dataset.load() is None
        with pytest.raises(DatasetError, match=r"lacks postprocess, lacks members, .*=tuning"):
            open_tuned(any_address).load()

    def test_keys_of_earlier_and_later_versions_are_read(self, any_address: str) -> None:
        side = {"lowest": 0.1, "highest": 0.5, "is_open_below": True, "is_open_above": False}
        old = {"honest_hmean": 0.85, "plateau": {"thresh": side | {"hmean": 0.9}}, "new_key": 7}
        write(f"{any_address}/tuned.json", TUNED | old)
        dataset = open_tuned(any_address)
        found = dataset.load()
        assert isinstance(found, TunedPostprocess)
        assert found.cross_fitted_hmean == 0.85
        assert found.sensitivity["thresh"].highest == 0.5
        dataset.save(found)
        assert dataset.load() == found

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pages": "9"}, r"has '9' as pages, which should be a valid integer"),
            ({"chosen_hmean": float("nan")}, r"has nan as chosen_hmean, which should be a finite"),
            ({"chosen_hmean": True}, r"has True as chosen_hmean, which should be a valid number"),
            ({"members": ["fold_0", 1]}, r"has 1 as members\[1\], which should be a valid string"),
            ({"postprocess": {"thresh": 2}}, r"has 2 as postprocess\.thresh, which should be less"),
        ],
        ids=str,
    )
    def test_a_wrong_value_is_named(
        self, change: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        write(f"{tmp_path}/tuned.json", TUNED | change)
        advice = ".*; mend or delete it, or write it again with --pipeline=tuning"
        with pytest.raises(DatasetError, match=rf"tuned\.json {message}{advice}"):
            open_tuned(tmp_path).load()

    def test_what_is_no_such_record_is_not_stored(self, tmp_path: Path) -> None:
        dataset = RecordDataset(filepath=f"{tmp_path}/epochs.json", record="FinalEpochs")
        dataset.save(EPOCHS)
        for wrong in (RECORD, {"epochs": 1}):
            with pytest.raises(DatasetError, match="no FinalEpochs can be stored"):
                dataset.save(wrong)
        assert dataset.load() == EPOCHS

    @pytest.mark.parametrize("name", ["Epochs", "receipt_ocr.records.Literal", "json.loads"])
    def test_a_class_that_is_no_record_is_named(self, name: str) -> None:
        with pytest.raises(DatasetError, match=r"record must name a class .*got"):
            RecordDataset(filepath="epochs.json", record=name)


class TestFolderOfRecords:
    def test_where_nobody_has_recorded_anything_there_are_none(self, any_address: str) -> None:
        dataset = open_records(any_address)
        assert (dataset.load(), dataset.preview()) == ({}, None)
        assert not dataset.exists()
        assert RecordsDataset.may_be_missing

    def test_records_come_back_in_the_order_of_their_names(self, any_address: str) -> None:
        dataset = open_records(any_address)
        dataset.save({"s2_truth": RECORD, "s1.5": OTHER})
        assert dataset.exists()
        found = open_records(any_address).load()
        assert list(found.items()) == [("s1.5", OTHER), ("s2_truth", RECORD)]
        fs, root = fsspec.url_to_fs(any_address)
        files = sorted(path.rpartition("/")[2] for path in fs.ls(root, detail=False))
        assert files == ["s1.5.json", "s2_truth.json"]

    def test_saving_adds_and_replaces_and_removes_none(self, any_address: str) -> None:
        dataset = open_records(any_address)
        dataset.save({"a": RECORD, "b": RECORD})
        dataset.save({"b": OTHER, "c": RECORD.model_dump()})
        dataset.save({})
        assert dataset.load() == {"a": RECORD, "b": OTHER, "c": RECORD}

    def test_other_files_of_the_folder_are_left_alone(self, any_address: str) -> None:
        dataset = open_records(any_address)
        dataset.save({"s1": RECORD})
        write(f"{any_address}/submission_s1.csv", b"filename,polygons\n")
        write(f"{any_address}/s2.json.partial", b'{"hme')  # a writer was killed
        assert dataset.load() == {"s1": RECORD}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b'{"run_id": 0.9', r"is no JSON \(.*\); mend or delete it, or .*writes this entry"),
            (b"", r"is no JSON"),
            (b"\xff\xfe\x00", r"is no JSON"),
            (b"[" * 100_000, r"is no JSON"),
            (b"[0.9]", r"holds no record but a list; mend or delete it"),
            (b"null", r"holds no record but a NoneType; mend"),
            (b'{"run_id": null, "saved": ""}', "lacks pipeline, lacks commit; mend"),
        ],
        ids=["cut off", "empty", "other bytes", "too deep", "list", "null", "incomplete"],
    )
    def test_a_file_that_is_no_record_costs_no_other(
        self, any_address: str, content: bytes, message: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        dataset = open_records(any_address)
        dataset.save({"s0": RECORD, "s2": RECORD})
        write(f"{any_address}/s1.json", content)
        found = dataset.load()
        assert found == {"s0": RECORD, "s2": RECORD}
        assert list(found.faults) == [f"{any_address}/s1.json"]
        told = " ".join(*found.faults.items())
        assert re.fullmatch(rf"{re.escape(any_address)}/s1\.json {message}.*", told)
        assert caplog.messages == [told]
        dataset.save({"s1": RECORD})
        assert dataset.load().faults == {}

    def test_a_file_that_cannot_be_read_costs_no_other(self, tmp_path: Path) -> None:
        dataset = open_records(str(tmp_path))
        dataset.save({"s0": RECORD})
        (tmp_path / "s1.json").mkdir()
        (tmp_path / "s2.json").symlink_to(tmp_path / "gone")  # listed, then deleted
        found = dataset.load()
        assert found == {"s0": RECORD}
        ((file, fault),) = found.faults.items()
        assert file == f"{tmp_path}/s1.json"
        assert re.fullmatch(r"cannot be read \(.*directory.*\); mend or delete it", fault)

    @pytest.mark.parametrize(
        "double", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
    )
    def test_faults_go_with_copies_of_the_records(
        self, double: Callable[[Records[RunRecord]], Records[RunRecord]]
    ) -> None:
        found = double(Records({"s0": RECORD}, {"s1.json": "is no JSON"}))
        assert (dict(found), found.faults) == ({"s0": RECORD}, {"s1.json": "is no JSON"})

    def test_a_record_that_cannot_be_written_leaves_earlier_ones(self, any_address: str) -> None:
        dataset = open_records(any_address)
        dataset.save({"a": RECORD})
        with pytest.raises(DatasetError, match="no RunRecord can be stored that lacks run_id"):
            dataset.save({"a": OTHER, "b": {"pipeline": "tuning"}})
        assert dataset.load() == {"a": RECORD}
