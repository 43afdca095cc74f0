"""Decoded pages: the same pixels as the photo's, kept within bounds, never a stale one."""

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from receipt_ocr.receipts import page_cache
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.letterbox import resize_page
from receipt_ocr.receipts.page_cache import PageCache

SIZE = (40, 30)
KEPT = 3 * 40 * 30 / 2**20  # MiB a page


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo of noise, 60 x 80 pixels."""
    return draw(tmp_path / "photo.png", seed=0)


def draw(file: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npy"))


def test_a_kept_page_is_the_photo_at_its_size(photo: Path, tmp_path: Path) -> None:
    expected = resize_page(read_upright(photo), 30, 40)
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    first = cache.load(0, photo, SIZE)
    photo_bytes = photo.read_bytes()
    again = cache.load(0, photo, SIZE)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(again, expected)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert len(kept(tmp_path / "cache")) == 1
    # The photo is not looked at again: another process finds the page as well.
    state = photo.stat()
    photo.write_bytes(b"x" * len(photo_bytes))
    os.utime(photo, ns=(state.st_atime_ns, state.st_mtime_ns))
    other = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    np.testing.assert_array_equal(other.load(0, photo, SIZE), expected)


def test_a_photo_that_changed_is_read_again(photo: Path, tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    cache.load(0, photo, SIZE)
    draw(photo, seed=1)
    os.utime(photo, ns=(1, 1))
    expected = resize_page(read_upright(photo), 30, 40)
    np.testing.assert_array_equal(cache.load(0, photo, SIZE), expected)


def test_only_the_first_pages_are_kept_within_the_limit(photo: Path, tmp_path: Path) -> None:
    pages = int(1 / KEPT) + 5
    cache = PageCache(tmp_path / "cache", [SIZE] * pages, limit_mib=1)
    for index in (pages - 1, int(1 / KEPT)):
        cache.load(index, photo, SIZE)
        assert kept(tmp_path / "cache") == []
    cache.load(int(1 / KEPT) - 1, photo, SIZE)
    assert len(kept(tmp_path / "cache")) == 1
    nothing = PageCache(None)
    np.testing.assert_array_equal(
        nothing.load(0, photo, SIZE), resize_page(read_upright(photo), 30, 40)
    )


@pytest.mark.parametrize("size", [0, 200])
def test_a_damaged_file_is_written_anew(photo: Path, tmp_path: Path, size: int) -> None:
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    expected = np.array(cache.load(0, photo, SIZE))
    (file,) = kept(tmp_path / "cache")
    file.write_bytes(file.read_bytes()[:size])
    np.testing.assert_array_equal(cache.load(0, photo, SIZE), expected)
    np.testing.assert_array_equal(np.load(file), expected)


def test_another_size_takes_the_place_of_the_one_before(photo: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    PageCache.for_stage(root, 40, [SIZE], 1).load(0, photo, SIZE)
    PageCache.for_stage(root, 80, [(80, 60)], 1).load(0, photo, (80, 60))
    assert [file.parent.name for file in kept(root)] == ["80"]
    assert PageCache.for_stage(None, 80, [(80, 60)], 1).load(0, photo, SIZE).shape == (40, 30, 3)


def test_a_folder_that_cannot_be_written_costs_only_speed(
    photo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file stands in the way")
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    expected = resize_page(read_upright(photo), 30, 40)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(cache.load(0, photo, SIZE), expected)
    assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == [
        "Decoded pages cannot be kept"
    ]


def test_a_disk_with_little_room_is_left_to_the_checkpoints(
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = SimpleNamespace(free=100 * 1024 * 1024)
    monkeypatch.setattr(page_cache.shutil, "disk_usage", lambda _: usage)
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    assert cache.load(0, photo, SIZE).shape == (*SIZE, 3)
    assert not kept(tmp_path / "cache")
    assert "100 MiB are free on its disk" in caplog.text


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "cache", [SIZE], limit_mib=1)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        cache.load(0, tmp_path / "gone.png", SIZE)
