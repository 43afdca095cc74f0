"""The folder that a training works in, and the address that its files are kept at."""

import pickle
from pathlib import Path

import pytest

from receipt_ocr.storage.files import open_folder
from receipt_ocr.training.work_folder import WorkFolder

ADDRESS = "memory://workspace/06_models/fold_0"


def list_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_a_local_work_folder_is_only_a_path(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "fold_0")
    work.fetch()
    work.publish(["last.ckpt"])
    work.discard(["last.ckpt"])
    assert Path(work) == work.path == Path(str(work)) == tmp_path / "fold_0"
    assert not work.path.exists()


@pytest.mark.usefixtures("memory")
def test_training_goes_on_where_it_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = WorkFolder(ADDRESS)
    here.fetch()
    assert here.path.name == "fold_0"
    (here.path / "decoded_pages").mkdir()
    for name in ("decoded_pages/a.npy", "epoch=0.ckpt", "last.ckpt", "epoch=1.ckpt"):
        (here.path / name).write_text(f"{name}, first")
    here.publish(["epoch=0.ckpt", "last.ckpt"])
    assert sorted(open_folder(ADDRESS).stamps()) == ["epoch=0.ckpt", "last.ckpt"]

    monkeypatch.setenv("RECEIPT_OCR_CACHE", str(tmp_path / "another machine"))
    there = pickle.loads(pickle.dumps(WorkFolder(ADDRESS)))
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


def test_results_of_an_earlier_training_are_removed_and_no_others(any_address: str) -> None:
    root = open_folder(any_address)
    others = ["output/a@flips/fold_1/m.png", "output/ab/fold_0/m.png", "models/fold_00.ckpt"]
    own = ["models/fold_0.ckpt", "output/a/fold_0/m.png", "output/a@flips/fold_0/m.png"]
    root.write(dict.fromkeys([*own, *others], b"old"))
    results = [
        (root / "models/fold_0.ckpt", ""),
        (root / "output/a/fold_0", ""),
        (root / "output", "a@*/fold_0"),
        (root / "nothing", ""),
    ]
    work = WorkFolder(root / "models/fold_0", results)
    work.discard_results()
    work.discard_results()  # what is gone is no error
    assert sorted(root.stamps()) == sorted(others)
