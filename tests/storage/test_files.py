"""One type for local and remote folders: the same operations, the same promises."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from receipt_ocr.storage.files import Folder, open_folder, storage_options


@pytest.fixture
def folder(any_address: str) -> Folder:
    return open_folder(any_address)


def test_files_return_as_they_were_written(folder: Folder, tmp_path: Path) -> None:
    assert not folder.exists()
    assert (folder.entries(), folder.glob("*"), folder.stamp("a")) == ([], [], None)
    folder.write({"a": b"1", "sub/영수증.json": b"2"})
    (tmp_path / "source").write_bytes(b"3")
    (folder / "sub").upload({"b": tmp_path / "source"})
    copy: Folder = pickle.loads(pickle.dumps(folder))
    assert copy.read("a") == (copy / "a").read() == b"1"
    assert sorted(copy.stamps()) == ["a", "sub/b", "sub/영수증.json"]
    assert [entry.name for entry in copy.entries()] == ["a", "sub"]
    copy.download({"sub/b": tmp_path / "new/b"})
    assert (tmp_path / "new/b").read_bytes() == b"3"
    with pytest.raises(FileNotFoundError, match="nothing"):
        folder.read("nothing")


def test_a_name_leads_down_and_the_parent_up(folder: Folder) -> None:
    file = folder / "models/fold_0.ckpt"
    assert str(file) == f"{folder}/models/fold_0.ckpt"
    assert (file.name, str(file.parent), str(file.parent.parent)) == (
        "fold_0.ckpt",
        f"{folder}/models",
        str(folder),
    )


def test_a_stamp_differs_once_a_file_is_written_again(folder: Folder) -> None:
    folder.write({"a": b"1"})
    first = folder.stamp("a")
    assert first is not None
    assert (folder / "a").stamp() == first
    folder.write({"a": b"1"})
    assert folder.stamp("a") != first


def test_removing_takes_what_it_names_and_no_neighbour(folder: Folder) -> None:
    names = ["fold[0]/a", "fold[0]/sub/b", "fold0/a", "fold*/a", "fold[0].ckpt", "fold_1/a"]
    folder.write(dict.fromkeys(names, b""))
    (folder / "fold[0]").remove()
    (folder / "fold*").remove()
    (folder / "fold[0].ckpt").remove()
    (folder / "nothing").remove()
    assert sorted(folder.stamps()) == ["fold0/a", "fold_1/a"]
    folder.delete(["fold0/a", "never there"])
    assert sorted(folder.stamps()) == ["fold_1/a"]


def test_only_a_star_in_the_pattern_is_special(folder: Folder) -> None:
    names = ["a@x/fold_0/m", "a@[y]/fold_0/m", "a@x/fold_1/m", "ab/fold_0/m", "other/m"]
    folder.write(dict.fromkeys(names, b""))
    found = folder.glob("a@*/fold_0")
    assert [str(one) for one in found] == [f"{folder}/a@[y]/fold_0", f"{folder}/a@x/fold_0"]
    assert folder.glob("a@[y]/*")[0].name == "fold_0"
    assert folder.glob("a?x/fold_0") == (folder / "a@x/fold_0/m").glob("*") == []


@pytest.mark.parametrize("method", ["pipe_file", "put_file"])
@pytest.mark.parametrize("any_address", ["local", "file system that moves"], indirect=True)
def test_a_write_that_breaks_off_leaves_the_earlier_file(
    any_address: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tear(self: Any, first: str, second: Any, **more: Any) -> None:
        whole(self, first, second[:1] if method == "pipe_file" else second, **more)
        raise OSError("connection lost")

    folder = open_folder(any_address)
    folder.write({"a": b"1"})
    (tmp_path / "source").write_bytes(b"22")
    file_system = type(folder._open()[0])
    whole = getattr(file_system, method)
    monkeypatch.setattr(file_system, method, tear)
    with pytest.raises(OSError, match="connection lost"):
        if method == "pipe_file":
            folder.write({"a": b"22"})
        else:
            folder.upload({"a": tmp_path / "source"})
    assert folder.read("a") == b"1"


def test_a_file_never_moves_into_a_folder_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="a"):
        open_folder(tmp_path).write({"a": b"1"})


def test_local_addresses_stay_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = open_folder("data/x/")
    assert (str(relative), relative.local) == ("data/x", Path("data/x"))
    (relative / "~home").write({"a": b""})
    assert (tmp_path / "data/x/~home/a").is_file()
    assert [str(found) for found in open_folder("data").glob("*/~home")] == ["data/x/~home"]
    assert open_folder(f"file://{tmp_path}").local == tmp_path
    assert open_folder("s3://bucket/x/").local is None
    assert open_folder(relative) is relative


def test_what_is_behind_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/scores").write_text("")
    (tmp_path / "all").mkdir()
    (tmp_path / "all/wide").symlink_to(tmp_path / "elsewhere")
    folder = open_folder(tmp_path / "all")
    assert [file.parent.name for file in folder.glob("*/scores")] == ["wide"]
    (folder / "wide").remove()
    assert (tmp_path / "elsewhere/scores").is_file()


def test_options_are_those_of_the_file_system_and_no_secret_is_shown() -> None:
    fs_args = {"anon": False, "open_args_save": {"mode": "wb"}}
    options = storage_options({"secret": "xyzzy"}, fs_args)
    assert options == {"secret": "xyzzy", "anon": False}
    assert "xyzzy" not in repr(open_folder("s3://bucket/x", options) / "a")
