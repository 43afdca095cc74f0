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


def group(folder: Path, paths: list[str]) -> list[int]:
    """Group numbers of images, at the distance that splitting has by default."""
    hashes = hash_images(folder, pd.DataFrame({"page": paths, "path": paths}))
    assert hashes["page"].tolist() == paths
    distance = SplittingSettings().duplicate_distance
    return group_duplicates(hashes["hash"].tolist(), distance).tolist()


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
    for name, picture in pictures.items():
        picture.save(tmp_path / name, quality=90)
    assert group(tmp_path, list(pictures)) == [0, 1, 0, 0, 0, 2]


def test_a_copy_turned_by_exif_shares_the_group(tmp_path: Path) -> None:
    page = draw_receipt(1)
    page.save(tmp_path / "upright.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    page.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    assert group(tmp_path, ["upright.jpg", "turned.jpg"]) == [0, 0]


# 0x0 and 0x3 differ in two bits, 0x0 and 0xf in four, 0x3 and 0xf in two.
@pytest.mark.parametrize(
    ("hashes", "distance", "groups"),
    [
        ([], 4, []),
        (["00", "0f"], 3, [0, 1]),
        (["00", "0f"], 4, [0, 0]),
        (["ff", "00", "0f", "03"], 2, [0, 1, 1, 1]),
    ],
    ids=["nothing", "too different", "at the distance", "a chain"],
)
def test_pages_up_to_the_distance_are_chained(
    hashes: list[str], distance: int, groups: list[int]
) -> None:
    assert group_duplicates(hashes, distance).tolist() == groups


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
    assert len(set(group(folder, paths))) == len(paths) == 410
