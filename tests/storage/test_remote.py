"""Datasets at a remote address: what they promise, kept on a file system in memory."""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from kedro.io import DatasetError

from receipt_ocr.datasets.checkpoints import CheckpointDataset, WorkFolderDataset
from receipt_ocr.datasets.optional import OptionalJSONDataset
from receipt_ocr.datasets.probability_maps import ProbabilityMapsDataset
from receipt_ocr.datasets.receipt_folder import ReceiptFolderDataset
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.detector.checkpoint import Checkpoint
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.hooks import _address
from receipt_ocr.storage import cache as mirror
from receipt_ocr.storage import files as storage
from receipt_ocr.synthesis.dataset import SyntheticPage, draw_receipts
from receipt_ocr.synthesis.settings import SynthesisSettings
from receipt_ocr.training.work_folder import WorkFolder

WORKSPACE = "memory://workspace"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The empty file system; it is one object a process."""
    monkeypatch.setenv(mirror.CACHE_VARIABLE, str(tmp_path / "cache"))
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture(params=["an object store", "a file system that moves"])
def any_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "an object store":
        monkeypatch.setattr(storage, "WHOLE_PUTS", frozenset())


def list_remote(memory: Any, address: str = WORKSPACE) -> list[str]:
    root = address.removeprefix("memory:/")
    return sorted(path.removeprefix(root).lstrip("/") for path in memory.find(root))


def make_map(seed: int) -> ProbabilityMap:
    values = np.random.default_rng(seed).integers(0, 256, (20, 30), dtype=np.uint8)
    return ProbabilityMap(values, np.diag([1 / 3, 1.7, 1.0]), width=60, height=40)


def lazy(*names: str) -> dict[str, Callable[[], ProbabilityMap]]:
    return {name: partial(make_map, len(name)) for name in names}


def fail() -> ProbabilityMap:
    raise RuntimeError("the power went out")


# ---- checkpoints -----------------------------------------------------------------------------


@pytest.fixture
def checkpoint() -> Checkpoint:
    state = {"head.weight": torch.tensor([0.1, -3.0])}
    return Checkpoint(Path("memory"), Recipe(), state, 4, [{"epoch": 4.0}])


@pytest.mark.usefixtures("any_store")
def test_a_detector_returns_as_it_was_saved(checkpoint: Checkpoint, memory: Any) -> None:
    dataset = CheckpointDataset(filepath=f"{WORKSPACE}/models/fold_0.ckpt")
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert dataset.exists()
    assert list_remote(memory) == ["models/fold_0.ckpt"]
    read = dataset.load()
    assert read.source == f"{WORKSPACE}/models/fold_0.ckpt"
    assert read.fingerprint == checkpoint.fingerprint
    assert (read.recipe, read.epoch, read.history) == (Recipe(), 4, [{"epoch": 4.0}])


def test_a_missing_or_foreign_detector_is_named_by_its_address(memory: Any) -> None:
    dataset = CheckpointDataset(filepath=f"{WORKSPACE}/fold_0.ckpt")
    with pytest.raises(DatasetError, match=rf"no checkpoint {WORKSPACE}/fold_0\.ckpt; train"):
        dataset.load()
    memory.pipe_file("/workspace/fold_0.ckpt", b"essay")
    with pytest.raises(DatasetError, match=rf"{WORKSPACE}/fold_0\.ckpt is not a detector's"):
        dataset.load()


def test_an_upload_that_breaks_off_leaves_the_earlier_detector(
    checkpoint: Checkpoint, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "WHOLE_PUTS", frozenset())
    dataset = CheckpointDataset(filepath=f"{WORKSPACE}/fold_0.ckpt")
    dataset.save(checkpoint)

    def tear(self: Any, source: str, target: str, **more: Any) -> None:
        self.pipe_file(target, Path(source).read_bytes()[:100])
        raise OSError("connection lost")

    monkeypatch.setattr(type(memory), "put_file", tear)
    with pytest.raises(DatasetError, match="connection lost"):
        dataset.save(checkpoint)
    assert dataset.load().epoch == 4


# ---- maps ------------------------------------------------------------------------------------


@pytest.fixture
def maps() -> ProbabilityMapsDataset:
    return ProbabilityMapsDataset(filepath=f"{WORKSPACE}/test_maps", made_by="kedro run")


@pytest.mark.usefixtures("any_store")
def test_maps_return_to_the_bit(
    maps: ProbabilityMapsDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receipt_ocr.datasets.probability_maps.BATCH", 2)
    pages = ["a.jpg", "sub/b.png", "영수증.jpg"]
    assert not maps.exists()
    maps.save(lazy(*pages))
    assert maps.exists()
    stored = maps.load()
    assert list(stored) == pages
    for name in pages:
        read, expected = pickle.loads(pickle.dumps(stored[name]))(), make_map(len(name))
        np.testing.assert_array_equal(read.probability, expected.probability)
        np.testing.assert_array_equal(read.map_to_page, expected.map_to_page)
        assert (read.width, read.height) == (60, 40)


def test_an_interrupted_save_leaves_the_earlier_maps_and_no_traces_after_the_next(
    maps: ProbabilityMapsDataset, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receipt_ocr.datasets.probability_maps.BATCH", 1)
    with pytest.raises(DatasetError, match="power went out"):
        maps.save({**lazy("a.jpg"), "b.jpg": fail})
    assert not maps.exists()
    with pytest.raises(
        FileNotFoundError, match=r"no probability maps in .*; make them with: kedro"
    ):
        list(maps.load())
    maps.save(lazy("old.jpg"))
    with pytest.raises(DatasetError, match="power went out"):
        maps.save({**lazy("a.jpg", "bb.jpg"), "c.jpg": fail})
    assert list(maps.load()) == ["old.jpg"]
    np.testing.assert_array_equal(
        maps.load()["old.jpg"]().probability, make_map(len("old.jpg")).probability
    )
    maps.save(lazy("new.jpg"))
    left = list_remote(memory, f"{WORKSPACE}/test_maps")
    assert [name.rpartition("/")[2] for name in left] == ["00000.png", "frames.json"]


def test_a_damaged_map_names_page_and_address(maps: ProbabilityMapsDataset, memory: Any) -> None:
    maps.save(lazy("a.jpg"))
    [file] = [path for path in memory.find("/workspace") if path.endswith(".png")]
    memory.rm_file(file)
    with pytest.raises(ValueError, match=r"page 'a\.jpg' cannot be read from memory://.*00000"):
        maps.load()["a.jpg"]()


# ---- raw receipts ----------------------------------------------------------------------------


def draw_few(seed: int = 1, holdout: int = 1) -> Iterator[SyntheticPage]:
    return draw_receipts(SynthesisSettings(seed=seed, train=2, holdout=holdout, test=1))


def list_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def raw() -> ReceiptFolderDataset:
    return ReceiptFolderDataset(filepath=f"{WORKSPACE}/01_raw")


def test_drawn_receipts_are_the_same_as_in_a_local_folder(
    raw: ReceiptFolderDataset, tmp_path: Path
) -> None:
    assert not raw.exists()
    for number, holdout in enumerate((1, 0)):  # the second replaces the first
        raw.save(draw_few(number, holdout))
        local = ReceiptFolderDataset(filepath=str(tmp_path / f"raw_{number}"))
        local.save(draw_few(number, holdout))
        assert raw.exists()
        assert list_files(raw.load()) == list_files(local.load())


def test_only_what_is_missing_or_has_changed_is_downloaded(
    raw: ReceiptFolderDataset, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.save(draw_few())
    folder = raw.load()
    fetched: list[str] = []
    get_file = type(memory).get_file

    def note(self: Any, source: str, *more: Any, **options: Any) -> None:
        fetched.append(source.rpartition("/")[2])
        get_file(self, source, *more, **options)

    monkeypatch.setattr(type(memory), "get_file", note)
    assert raw.load() == folder
    assert fetched == []
    (folder / "jsons/test.json").unlink()
    (folder / "jsons/val.json").write_text("edited by mistake")
    (folder / "images/train/extra.jpg").write_bytes(b"")
    content = memory.cat_file("/workspace/01_raw/jsons/train.json")
    memory.pipe_file("/workspace/01_raw/jsons/train.json", content[:-1] + b"\n}")
    raw.load()
    assert sorted(fetched) == ["test.json", "train.json", "val.json"]
    remote = {n: memory.cat_file(f"/workspace/01_raw/{n}") for n in list_files(folder)}
    assert list_files(folder) == remote
    assert "images/train/extra.jpg" not in remote


def test_a_folder_that_was_written_in_half_is_refused_until_it_is_drawn_anew(
    raw: ReceiptFolderDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.save(draw_few())
    write = storage.Folder.write

    def tear(self: storage.Folder, contents: dict[str, bytes]) -> None:
        if len(contents) > 1:
            write(self, dict(list(contents.items())[:2]))
            raise OSError("connection lost")
        write(self, contents)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Folder, "write", tear)
        with pytest.raises(DatasetError, match="connection lost"):
            raw.save(draw_few(2))
    with pytest.raises(DatasetError, match=rf"train\.json(?s:.*)copy of {WORKSPACE}/01_raw"):
        raw.load()
    raw.save(draw_few(3))
    assert (raw.load() / "jsons/train.json").is_file()


def test_real_receipts_are_never_replaced(raw: ReceiptFolderDataset, memory: Any) -> None:
    memory.pipe_file("/workspace/01_raw/jsons/train.json", b"{}")
    with pytest.raises(DatasetError, match=f"{WORKSPACE}/01_raw holds something that is not synth"):
        raw.save(draw_few())
    assert memory.cat_file("/workspace/01_raw/jsons/train.json") == b"{}"


def test_a_name_that_leads_out_of_the_folder_is_refused(
    raw: ReceiptFolderDataset, memory: Any, tmp_path: Path
) -> None:
    memory.store["/workspace/01_raw/../../evil.txt"] = memory.open("/x", "wb")
    with pytest.raises(DatasetError, match="leads out of the folder"):
        raw.load()
    assert not list(tmp_path.rglob("evil.txt"))


# ---- work folders ----------------------------------------------------------------------------


def test_a_local_work_folder_is_only_a_path(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "fold_0")
    work.fetch()
    work.publish(["last.ckpt"])
    work.discard(["last.ckpt"])
    assert Path(work) == work.path == tmp_path / "fold_0"
    assert not work.path.exists()


def test_training_goes_on_where_it_was_published(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{WORKSPACE}/06_models/fold_0"
    here = WorkFolderDataset(filepath=address).load()
    here.fetch()
    assert here.name == here.path.name == "fold_0"
    (here.path / "decoded_pages").mkdir()
    for name in ("decoded_pages/a.npy", "epoch=0.ckpt", "last.ckpt", "epoch=1.ckpt"):
        (here.path / name).write_text(f"{name}, first")
    here.publish(["epoch=0.ckpt", "last.ckpt"])
    assert list_remote(memory, address) == ["epoch=0.ckpt", "last.ckpt"]

    monkeypatch.setenv(mirror.CACHE_VARIABLE, str(tmp_path / "another machine"))
    there = pickle.loads(pickle.dumps(WorkFolder(address)))
    there.fetch()
    assert list_files(there.path) == {
        name: f"{name}, first".encode() for name in ("epoch=0.ckpt", "last.ckpt")
    }
    for name in ("last.ckpt", "epoch=2.ckpt"):
        (there.path / name).write_text(f"{name}, other")
    there.publish(["epoch=2.ckpt", "last.ckpt"])
    there.discard(["epoch=0.ckpt", "never there"])

    here.fetch()  # what was not published is given up, what is this machine's own stays
    assert list_files(here.path) == {
        "decoded_pages/a.npy": b"decoded_pages/a.npy, first",
        "epoch=2.ckpt": b"epoch=2.ckpt, other",
        "last.ckpt": b"last.ckpt, other",
    }


def test_an_unpublished_change_is_undone_by_a_fetch() -> None:
    work = WorkFolder(f"{WORKSPACE}/fold_0")
    work.fetch()
    (work.path / "last.ckpt").write_text("epoch 1")
    work.publish(["last.ckpt"])
    (work.path / "last.ckpt").write_text("epoch 2")
    work.fetch()
    assert (work.path / "last.ckpt").read_text() == "epoch 1"


# ---- addresses -------------------------------------------------------------------------------


def test_local_addresses_are_paths(tmp_path: Path) -> None:
    assert storage.open_folder("data/x").local == Path("data/x")
    assert storage.open_folder(f"file://{tmp_path}").local == tmp_path
    assert mirror.local_copy(tmp_path) == tmp_path


def test_two_addresses_never_share_a_cache_folder() -> None:
    addresses = ["s3://a/b", "s3://a-b", "gs://a/b", "s3://a/b/c"]
    assert len({mirror.cache_folder(address) for address in addresses}) == len(addresses)


def test_messages_name_the_whole_address_and_no_secret() -> None:
    credentials = {"secret": "xyzzy"}
    stored = OptionalJSONDataset(filepath="s3://bucket/a.json")
    assert _address(stored) == "s3://bucket/a.json"
    own = WorkFolderDataset(filepath="s3://bucket/fold_0/", credentials=credentials)
    assert _address(own) == "s3://bucket/fold_0"
    assert "xyzzy" not in repr(own) + repr(own.load()) + repr(own._filepath)
