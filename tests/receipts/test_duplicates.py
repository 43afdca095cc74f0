"""Near-duplicates: copies of one picture are found, other receipts of the shop are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from receipt_ocr.receipts.duplicates import group_duplicates, hash_images
from receipt_ocr.receipts.settings import SplittingSettings


def draw_receipt(seed: int) -> Image.Image:
    """Dark bars on white paper where a receipt has its lines."""
    rng = np.random.default_rng(seed)
    page = Image.new("L", (480, 960), 250)
    pen = ImageDraw.Draw(page)
    for top in range(40, 900, 24):
        left = int(rng.integers(20, 200))
        for x in range(left, int(rng.integers(220, 460)), 12):
            if rng.random() < 0.8:
                pen.rectangle((x, top, x + 8, top + 12), fill=40)
    return page


def group(folder: Path, pictures: dict[str, Image.Image]) -> list[int]:
    for name, picture in pictures.items():
        picture.save(folder / name, quality=90)
    hashes = hash_images(folder, pd.DataFrame({"page": list(pictures), "path": list(pictures)}))
    assert hashes["page"].tolist() == list(pictures)
    return group_duplicates(
        hashes["hash"].tolist(), SplittingSettings().duplicate_distance
    ).tolist()


def test_copies_of_a_picture_share_a_group_and_other_receipts_do_not(tmp_path: Path) -> None:
    page = draw_receipt(1)
    pictures = {
        "a.jpg": page,
        "other.jpg": draw_receipt(2),
        "smaller.jpg": page.resize((240, 480)),
        "brighter.jpg": ImageEnhance.Brightness(page).enhance(1.1),
        "lossless.png": page,
        "third.jpg": draw_receipt(3),
    }
    assert group(tmp_path, pictures) == [0, 1, 0, 0, 0, 2]


def test_a_copy_turned_by_exif_shares_the_group(tmp_path: Path) -> None:
    page = draw_receipt(1)
    page.save(tmp_path / "upright.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    page.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    names = ["upright.jpg", "turned.jpg"]
    hashes = hash_images(tmp_path, pd.DataFrame({"page": names, "path": names}))["hash"]
    assert group_duplicates(hashes.tolist(), SplittingSettings().duplicate_distance).tolist() == [
        0,
        0,
    ]


def test_no_pages_make_no_groups() -> None:
    assert group_duplicates([], 4).tolist() == []


def test_similar_means_at_most_the_distance() -> None:
    # 0x0 and 0x3 differ in two bits, 0x0 and 0xf in four, 0x3 and 0xf in two.
    assert group_duplicates(["00", "0f"], 3).tolist() == [0, 1]
    assert group_duplicates(["00", "0f"], 4).tolist() == [0, 0]


def test_a_chain_of_similar_pages_is_one_group() -> None:
    assert group_duplicates(["ff", "00", "0f", "03"], 2).tolist() == [0, 1, 1, 1]


def test_groups_across_blocks_of_pages_are_found() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (1500, 32), dtype=np.uint8)
    raw[1400] = raw[3]
    groups = group_duplicates([row.tobytes().hex() for row in raw], 8)
    assert groups[1400] == groups[3] == 3
    assert len(set(groups.tolist())) == 1499


def test_hashes_of_two_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"one length, got \[2, 4\]"):
        group_duplicates(["00", "0000"], 2)


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.jpg"):
        hash_images(tmp_path, pd.DataFrame({"page": ["a.jpg"], "path": ["a.jpg"]}))


def test_no_two_real_receipts_are_taken_for_one(shared: Path) -> None:
    folder = shared / "data" / "sroie"
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.glob("images/*/*.jpg"))
    hashes = hash_images(folder, pd.DataFrame({"page": paths, "path": paths}))["hash"]
    groups = group_duplicates(hashes.tolist(), SplittingSettings().duplicate_distance)
    assert len(set(groups.tolist())) == len(paths) == 410
