"""Labelled pages: the words of their own subset, and no page that is not there."""

from pathlib import Path

import pandas as pd
import pytest

from receipt_ocr.receipts.labelled_pages import load_pages


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    pages = pd.DataFrame(
        {
            "page": ["b.jpg", "a.jpg", "b.jpg"],
            "subset": ["train", "train", "test"],
            "path": ["images/train/b.jpg", "images/train/a.jpg", "images/test/b.jpg"],
            "width": [100, 50, 70],
            "height": [200, 60, 80],
        }
    )
    words = pd.DataFrame(
        {
            "page": ["b.jpg", "b.jpg", "b.jpg"],
            "subset": ["train", "train", "test"],
            "polygon": [[0, 0, 9, 0, 9, 5, 0, 5], [0, 9, 9, 9, 9, 14, 0, 14], [1, 1] * 4],
            "ignored": [False, True, False],
        }
    )
    return pages, words


def test_pages_are_labelled_with_the_words_of_their_own_subset(tmp_path: Path) -> None:
    pages, words = tables()
    own = pages[pages["subset"] == "train"]
    first, second = load_pages(own, words, tmp_path)
    assert (first.name, first.path) == ("b.jpg", tmp_path / "images/train/b.jpg")
    assert (first.width, first.height) == (100, 200)
    assert [word.tolist() for word in first.polygons] == [
        [[0, 0], [9, 0], [9, 5], [0, 5]],
        [[0, 9], [9, 9], [9, 14], [0, 14]],
    ]
    assert first.ignored == [False, True]
    assert (second.name, second.polygons, second.ignored) == ("a.jpg", [], [])
    chosen = load_pages(own, words, tmp_path, ["a.jpg"])
    assert [page.name for page in chosen] == ["a.jpg"]
    assert load_pages(own, words, tmp_path, []) == []


def test_pages_that_are_not_there_or_of_several_subsets_are_refused(tmp_path: Path) -> None:
    pages, words = tables()
    with pytest.raises(ValueError, match=r"one subset, got \['test', 'train'\]"):
        load_pages(pages, words, tmp_path)
    own = pages[pages["subset"] == "train"]
    with pytest.raises(ValueError, match=r"'c\.jpg' is not in the pages table \(2 missing\)"):
        load_pages(own, words, tmp_path, ["a.jpg", "c.jpg", "d.jpg"])
