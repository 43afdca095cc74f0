"""Ingestion: what is read, what is clipped, what is rejected, and what stops it."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from receipt_ocr.geometry.polygons import as_polygon, polygon_area
from receipt_ocr.receipts.annotations import IngestionSettings, Receipts, read_receipts

BOX = [[10, 10], [50, 10], [50, 30], [10, 30]]
STORED = [[120, 10], [180, 10], [180, 30], [120, 30]]
"""On a page stored 200 wide and 100 high; outside it when EXIF turns it upright."""
WIDTH, HEIGHT = 100, 200


def write_image(path: Path, orientation: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "white").save(path, exif=exif)


def write_json(folder: Path, name: str, content: object) -> None:
    (folder / "jsons").mkdir(parents=True, exist_ok=True)
    (folder / "jsons" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def annotate(**pages: object) -> dict[str, object]:
    """``annotate(a={"0001": word})``: the JSON of page ``a.jpg``."""
    return {"images": {f"{name}.jpg": {"words": words} for name, words in pages.items()}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Train page a.jpg with one word, test page t.jpg without truth."""
    write_image(tmp_path / "images/train/a.jpg")
    write_image(tmp_path / "images/test/t.jpg")
    write_json(tmp_path, "train", annotate(a={"0001": {"points": BOX}}))
    return tmp_path


def read_words(folder: Path, **words: object) -> Receipts:
    """Read the folder with these words on its train page."""
    write_json(folder, "train", annotate(a=words))
    return read_receipts(folder)


def reasons(receipts: Receipts) -> list[tuple[str, str, str, str]]:
    return list(receipts.rejected.drop(columns="detail").itertuples(index=False, name=None))


def test_pages_and_words_are_read(folder: Path) -> None:
    word = {"points": BOX, "transcription": "합계", "illegibility": True, "language": ["ko"]}
    receipts = read_words(folder, w1=word, w2={"points": [[0, 0], [5, 0], [5, 5], [3, 6], [0, 5]]})
    size = {"width": WIDTH, "height": HEIGHT, "orientation": 1}
    train = {"page": "a.jpg", "subset": "train", "path": "images/train/a.jpg"}
    test = {"page": "t.jpg", "subset": "test", "path": "images/test/t.jpg"}
    assert receipts.pages.to_dict("records") == [
        {**train, **size, "word_count": 2, "has_truth": True},
        {**test, **size, "word_count": 0, "has_truth": False},
    ]
    first, second = receipts.words.to_dict("records")
    assert first["polygon"] == np.ravel(BOX).tolist()
    assert (first["word"], first["transcription"], first["ignored"]) == ("w1", "합계", True)
    assert second["polygon"] == [0.0, 0.0, 5.0, 0.0, 5.0, 5.0, 3.0, 6.0, 0.0, 5.0]
    assert pd.isna(second["transcription"])
    assert not second["ignored"]
    assert receipts.rejected.empty


def test_tables_survive_parquet(folder: Path, tmp_path: Path) -> None:
    receipts = read_receipts(folder)
    for name, table in vars(receipts).items():
        table.to_parquet(tmp_path / name)
        back = pd.read_parquet(tmp_path / name)
        assert (list(back.columns), len(back)) == (list(table.columns), len(table))
    polygons = pd.read_parquet(tmp_path / "words")["polygon"]
    assert polygons[0].tolist() == np.ravel(BOX).tolist()


def test_a_page_without_words_stays_a_page(folder: Path) -> None:
    pages = read_words(folder).pages
    assert (pages["page"][0], pages["word_count"][0], pages["has_truth"][0]) == ("a.jpg", 0, True)


def test_the_order_is_that_of_names_whatever_the_json_has(folder: Path) -> None:
    for name in ("c", "b"):
        write_image(folder / f"images/train/{name}.jpg")
    write_json(folder, "train", annotate(c={}, a={}, b={}))
    assert read_receipts(folder).pages["page"].tolist() == ["a.jpg", "b.jpg", "c.jpg", "t.jpg"]


class TestSubsets:
    def test_val_is_the_holdout(self, folder: Path) -> None:
        write_image(folder / "images/val/v.jpg")
        write_json(folder, "val", annotate(v={"1": {"points": BOX}}))
        pages = read_receipts(folder).pages
        assert pages[["page", "subset", "path"]].to_numpy().tolist() == [
            ["a.jpg", "train", "images/train/a.jpg"],
            ["v.jpg", "holdout", "images/val/v.jpg"],
            ["t.jpg", "test", "images/test/t.jpg"],
        ]

    def test_a_test_json_with_words_is_truth_also_of_its_blank_pages(self, folder: Path) -> None:
        write_image(folder / "images/test/blank.jpg")
        write_json(folder, "test", annotate(t={"1": {"points": BOX}}, blank={}))
        pages = read_receipts(folder).pages.set_index("page").loc[["blank.jpg", "t.jpg"]]
        assert pages["has_truth"].tolist() == [True, True]
        assert pages["word_count"].tolist() == [0, 1]

    @pytest.mark.parametrize("words", [{"1": {"points": BOX}}, {}], ids=["truth", "withheld"])
    def test_a_test_image_that_the_json_does_not_name_is_a_page_without_truth(
        self, folder: Path, words: dict[str, object]
    ) -> None:
        # It needs its row in the submission. A JSON without any word withholds the truth of all.
        write_image(folder / "images/test/more.jpg")
        write_json(folder, "test", annotate(t=words))
        receipts = read_receipts(folder)
        pages = receipts.pages[receipts.pages["subset"] == "test"]
        assert pages[["page", "word_count", "has_truth"]].to_numpy().tolist() == [
            ["more.jpg", 0, False],
            ["t.jpg", len(words), bool(words)],
        ]
        assert receipts.rejected.empty

    def test_a_train_page_named_like_a_test_page_is_rejected(self, folder: Path) -> None:
        write_image(folder / "images/train/t.jpg")
        write_json(folder, "train", annotate(a={}, t={}))
        receipts = read_receipts(folder)
        assert reasons(receipts) == [("train", "t.jpg", "", "duplicate_name")]
        assert receipts.pages["page"].tolist() == ["a.jpg", "t.jpg"]

    def test_an_image_that_the_json_does_not_name_is_recorded(self, folder: Path) -> None:
        write_image(folder / "images/train/extra.PNG")
        (folder / "images/train/Thumbs.db").write_text("no page")
        assert reasons(read_receipts(folder)) == [("train", "extra.PNG", "", "not_annotated")]


class TestBadImages:
    def test_missing_empty_and_corrupt_images_are_rejected(self, folder: Path) -> None:
        images = folder / "images/train"
        (images / "empty.jpg").write_bytes(b"")
        noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / "cut.jpg")
        (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:2000])
        words = {"1": {"points": BOX}}
        write_json(folder, "train", annotate(a=words, gone=words, empty=words, cut=words))
        receipts = read_receipts(folder)
        assert reasons(receipts) == [
            ("train", "cut.jpg", "", "image_unreadable"),
            ("train", "empty.jpg", "", "image_unreadable"),
            ("train", "gone.jpg", "", "image_missing"),
        ]
        assert "empty.jpg is empty" in receipts.rejected["detail"][1]
        assert set(receipts.words["page"]) == {"a.jpg"}

    @pytest.mark.parametrize(
        "name", ["../a.jpg", "/etc/a.jpg", "b/a.jpg", r"..\a.jpg", "C:a.jpg", "..", "", "a\n.jpg"]
    )
    def test_a_name_that_leaves_the_folder_is_rejected(self, folder: Path, name: str) -> None:
        write_image(folder / "images/a.jpg")
        entry = {"words": {"1": {"points": BOX}}}
        write_json(folder, "train", {"images": {"a.jpg": entry, name: entry}})
        assert reasons(read_receipts(folder)) == [("train", name, "", "unsafe_name")]


class TestBadWords:
    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ({"points": BOX[:3]}, "too_few_points"),
            ({"points": []}, "too_few_points"),
            ({"points": [[10, 10], [50, 10], [50, float("nan")], [10, 30]]}, "not_finite"),
            ({"points": [[10, 10], [50, 10], [50, "x"], [10, 30]]}, "not_numbers"),
            ({"points": [[10, 10], [50, 10], [50], [10, 30]]}, "not_numbers"),
            ({"points": [[10, 10], [50, 10], [50, 10**400], [10, 30]]}, "not_numbers"),
            ({"points": {"x": 1}}, "not_numbers"),
            ({"points": None}, "not_numbers"),
            ({}, "no_points"),
            (None, "no_points"),
            ({"points": [[10, 10], [50, 10], [90, 10], [20, 10]]}, "zero_area"),
            ({"points": [[10, 10]] * 4}, "zero_area"),
            ({"points": [[10, 10], [150, 10], [150, 30], [10, 30]]}, "outside_page"),
            ({"points": [[-40, 10], [50, 10], [50, 30], [10, 30]]}, "outside_page"),
            ({"points": [[-9, 10], [-1, 10], [-1, 30], [-9, 30]]}, "outside_page"),
        ],
    )
    def test_a_word_that_cannot_be_used_is_rejected(self, folder: Path, word, reason: str) -> None:
        receipts = read_words(folder, good={"points": BOX}, bad=word)
        assert reasons(receipts) == [("train", "a.jpg", "bad", reason)]
        assert receipts.rejected["detail"][0]
        assert receipts.words["word"].tolist() == ["good"]
        assert receipts.pages["word_count"].tolist() == [1, 0]

    def test_points_within_the_margin_are_clipped_and_counted(self, folder: Path) -> None:
        points = [[-3, 10], [50, 10], [50, 30], [-16, 30]]
        [word] = read_words(folder, w={"points": points}).words.to_dict("records")
        assert word["polygon"] == [0.0, 10.0, 50.0, 10.0, 50.0, 30.0, 0.0, 30.0]
        assert word["clipped_points"] == 2
        receipts = read_receipts(folder, IngestionSettings(clip_margin=15))
        assert reasons(receipts) == [("train", "a.jpg", "w", "outside_page")]

    def test_the_corners_of_a_bow_tie_are_put_in_order(self, folder: Path) -> None:
        crossed = [BOX[0], BOX[1], BOX[3], BOX[2]]
        words = read_words(folder, plain={"points": BOX}, x={"points": crossed}).words
        assert words["reordered"].tolist() == [False, True]
        assert [polygon_area(as_polygon(flat)) for flat in words["polygon"]] == [40 * 20] * 2

    def test_nothing_is_dropped_silently(self, folder: Path, caplog) -> None:
        words = {"good": {"points": BOX}, "bad": {"points": []}, "ugly": {"points": "?"}}
        with caplog.at_level(logging.INFO):
            receipts = read_words(folder, **words)
        assert len(receipts.words) + len(receipts.rejected) == len(words)
        lines = [record.getMessage() for record in caplog.records]
        assert lines[0].startswith("train: 1 pages (0 without words), 1 words")
        assert "test: 1 pages (1 without words), 0 words" in lines[1]
        assert "truth withheld" in lines[1]
        for reason in ("not_numbers", "too_few_points"):
            assert any(f"{reason}, 0 pages, 1 words" in line for line in lines)


class TestFrames:
    """Stored 200 wide and 100 high; turned by EXIF, the page is 100 wide and 200 high."""

    TALL = ((10, 120), (30, 120), (30, 180), (10, 180))

    def _write(self, folder: Path, orientation: int, **words: object) -> None:
        write_image(folder / "images/train/b.jpg", orientation, size=(200, 100))
        write_json(folder, "train", annotate(a={}, b=words))

    # A single wild word does not hide the stored frame.
    @pytest.mark.parametrize("other", [BOX, [[900, 10], [950, 10], [950, 30], [900, 30]]])
    def test_polygons_of_the_stored_frame_reject_the_page(
        self, folder: Path, other: list[list[int]]
    ) -> None:
        self._write(folder, 6, w={"points": STORED}, x={"points": other})
        receipts = read_receipts(folder)
        assert reasons(receipts) == [("train", "b.jpg", "", "unrotated_frame")]
        assert "orientation 6" in receipts.rejected["detail"][0]
        assert receipts.pages["page"].tolist() == ["a.jpg", "t.jpg"]

    def test_upright_polygons_are_kept_and_one_wild_word_turns_no_page(self, folder: Path) -> None:
        self._write(folder, 6, w={"points": self.TALL}, x={"points": STORED})
        receipts = read_receipts(folder)
        assert reasons(receipts) == [("train", "b.jpg", "x", "outside_page")]
        assert receipts.words["polygon"].tolist() == [np.ravel(self.TALL).tolist()]

    def test_a_test_page_keeps_its_row_but_not_its_truth(self, folder: Path) -> None:
        write_image(folder / "images/test/t.jpg", 8, size=(200, 100))
        write_json(folder, "test", annotate(t={"w": {"points": STORED}}))
        receipts = read_receipts(folder)
        assert reasons(receipts) == [("test", "t.jpg", "", "unrotated_frame")]
        [page] = receipts.pages[receipts.pages["subset"] == "test"].to_dict("records")
        assert (page["page"], page["has_truth"], page["word_count"]) == ("t.jpg", False, 0)

    @pytest.mark.parametrize(
        ("orientation", "expected"),
        [
            (5, [[10, 120], [10, 180], [30, 180], [30, 120]]),
            (6, [[90, 120], [90, 180], [70, 180], [70, 120]]),
            (7, [[90, 80], [90, 20], [70, 20], [70, 80]]),
            (8, [[10, 80], [10, 20], [30, 20], [30, 80]]),
        ],
    )
    def test_rotate_turns_the_polygons_with_the_page(
        self, folder: Path, orientation: int, expected: list[list[int]]
    ) -> None:
        self._write(folder, orientation, w={"points": STORED})
        receipts = read_receipts(folder, IngestionSettings(unrotated_polygons="rotate"))
        assert receipts.rejected.empty
        assert receipts.words["polygon"][0] == np.ravel(expected).tolist()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("images/train/a.jpg", r"train page: .*image_missing 1\); first: no image file"),
        ("images/test/t.jpg", "test page: no image was found"),
    ],
)
def test_a_subset_without_a_usable_page_is_an_error(folder: Path, gone: str, message: str) -> None:
    (folder / gone).unlink()
    with pytest.raises(ValueError, match=f"no usable {message}"):
        read_receipts(folder)


def test_the_real_receipts_are_read_whole(shared: Path) -> None:
    receipts = read_receipts(shared / "data" / "sroie")
    assert receipts.pages["subset"].value_counts().to_dict() == {"train": 328, "test": 82}
    assert (receipts.words["subset"] == "train").sum() == 17877
    assert receipts.pages["has_truth"].all()
    assert receipts.rejected.empty
