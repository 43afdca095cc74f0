"""Local copies of remote folders."""

from pathlib import Path
from typing import Any

import pytest

from receipt_ocr.storage.cache import RemoteCache, cache_folder, local_copy
from receipt_ocr.storage.files import open_folder

ADDRESS = "memory://workspace/01_raw"


def list_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_only_what_is_missing_or_has_changed_is_downloaded(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_folder(ADDRESS)
    remote.write(dict.fromkeys(("train.json", "sub/test.json", "val.json", "same"), b"{}"))
    folder = local_copy(ADDRESS)
    fetched: list[str] = []
    get_file = type(memory).get_file

    def note(self: Any, source: str, *more: Any, **options: Any) -> None:
        fetched.append(source.rpartition("/")[2])
        get_file(self, source, *more, **options)

    monkeypatch.setattr(type(memory), "get_file", note)
    assert local_copy(ADDRESS) == folder
    assert fetched == []
    (folder / "sub/test.json").unlink()
    (folder / "val.json").write_text("edited by mistake")
    (folder / "extra/empty").mkdir(parents=True)
    (folder / "extra.jpg").write_bytes(b"")
    remote.write({"train.json": b"[]"})
    local_copy(ADDRESS)
    assert sorted(fetched) == ["test.json", "train.json", "val.json"]
    assert list_files(folder) == {name: remote.read(name) for name in remote.stamps()}
    assert not (folder / "extra").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(memory: Any, tmp_path: Path) -> None:
    memory.store["/workspace/01_raw/../../evil.txt"] = memory.open("/x", "wb")
    with pytest.raises(ValueError, match="leads out of the folder"):
        local_copy(ADDRESS)
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_local_folder_is_its_own_copy(tmp_path: Path) -> None:
    cache = RemoteCache(open_folder(tmp_path / "fold_0"))
    with cache.lock():
        cache.fetch()
        cache.publish(["last.ckpt"])
        cache.discard(["last.ckpt"])
    assert cache.path == local_copy(tmp_path / "fold_0") == tmp_path / "fold_0"
    assert list(tmp_path.iterdir()) == []


def test_two_addresses_never_share_a_cache_folder() -> None:
    addresses = ["s3://a/b", "s3://a-b", "gs://a/b", "s3://a/b/c"]
    assert len({cache_folder(address) for address in addresses}) == len(addresses)
