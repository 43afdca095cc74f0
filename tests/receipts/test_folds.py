"""Folds: every page once, strata even, near-duplicates together, the same by seed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.geometry.polygons import flatten_polygon, rectangle
from receipt_ocr.receipts.folds import SplittingSettings, assign_folds, balance_table
from receipt_ocr.receipts.settings import FOLD_COUNT


def make_tables(
    count: int, seed: int = 0, copies: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pages of random shapes; the last ``copies`` pages look like the first page."""
    rng = np.random.default_rng(seed)
    names = [f"p{index:04d}.jpg" for index in range(count)]
    word_counts = rng.integers(0, 6, count)
    pages = pd.DataFrame(
        {
            "page": names,
            "subset": "train",
            "width": rng.integers(400, 800, count),
            "height": rng.integers(800, 1200, count),
            "word_count": word_counts,
        }
    )
    heights = rng.integers(5, 40, count)
    rows = [
        (name, flatten_polygon(rectangle(0, 0, 90, height)))
        for name, height, repeats in zip(names, heights, word_counts, strict=True)
        for _ in range(repeats)
    ]
    words = pd.DataFrame(rows, columns=["page", "polygon"])
    raw = rng.integers(0, 256, (count, 128), dtype=np.uint8)
    raw[count - copies :] = raw[0]
    hashes = pd.DataFrame({"page": names, "hash": [row.tobytes().hex() for row in raw]})
    return pages, words, hashes


def spread(counts: pd.Series) -> int:
    per_fold = counts.reindex(range(FOLD_COUNT), fill_value=0)
    return int(per_fold.max() - per_fold.min())


@settings(max_examples=15, deadline=None)
@given(st.integers(FOLD_COUNT, 80), st.integers(0, 2**16), st.integers(1, 4))
def test_pages_are_dealt_once_and_evenly(count: int, seed: int, bins: int) -> None:
    tables = make_tables(count, seed)
    folds = assign_folds(*tables, SplittingSettings(seed=seed, strata_per_feature=bins))
    assert folds["page"].tolist() == tables[0]["page"].tolist()
    assert set(folds["fold"]) == set(range(FOLD_COUNT))
    assert spread(folds["fold"].value_counts()) <= 1
    for _, stratum in folds.groupby("stratum"):
        assert spread(stratum["fold"].value_counts()) <= 1


@settings(max_examples=15, deadline=None)
@given(st.integers(10, 60), st.integers(1, 5), st.integers(0, 2**16))
def test_near_duplicates_stay_in_one_fold(count: int, copies: int, seed: int) -> None:
    folds = assign_folds(*make_tables(count, seed, copies), SplittingSettings(seed=seed))
    assert folds.groupby("group")["fold"].nunique().max() == 1
    assert folds["group"].value_counts().max() == copies + 1
    assert folds["fold"].nunique() == FOLD_COUNT


def test_the_seed_decides_and_nothing_else_does() -> None:
    pages, words, hashes = make_tables(60)
    first = assign_folds(pages, words, hashes, SplittingSettings(seed=1))
    pd.testing.assert_frame_equal(
        first, assign_folds(pages, words, hashes, SplittingSettings(seed=1))
    )
    shuffled = hashes.sample(frac=1, random_state=0), words.sample(frac=1, random_state=0)
    again = assign_folds(pages, shuffled[1], shuffled[0], SplittingSettings(seed=1))
    pd.testing.assert_frame_equal(first, again)
    other = assign_folds(pages, words, hashes, SplittingSettings(seed=2))
    assert (first["fold"] != other["fold"]).any()


def test_features_are_those_of_the_page() -> None:
    pages, words, hashes = make_tables(5)
    pages.loc[0, ["width", "height"]] = (500, 1000)
    # Short sides 10, 20 and 60 (a tall word): the median is 20.
    sizes = [(90, 10), (90, 20), (60, 300)]
    polygons = [flatten_polygon(rectangle(0, 0, *size)) for size in sizes]
    own = pd.DataFrame({"page": "p0000.jpg", "polygon": polygons})
    words = pd.concat([words[words["page"] != "p0000.jpg"], own])
    first = assign_folds(pages, words, hashes).iloc[0]
    assert first["word_count"] == 3
    assert first["text_height"] == pytest.approx(20 / 1000)
    assert first["aspect"] == 2.0


def test_a_page_without_words_is_dealt_too() -> None:
    pages, words, hashes = make_tables(5)
    folds = assign_folds(pages, words[words["page"] != "p0002.jpg"], hashes)
    blank = folds.set_index("page").loc["p0002.jpg"]
    assert (blank["word_count"], blank["text_height"]) == (0, 0.0)


def test_only_train_pages_are_dealt() -> None:
    pages, words, hashes = make_tables(9)
    pages.loc[[1, 3], "subset"] = ["holdout", "test"]
    dealt = assign_folds(pages, words, hashes)["page"].tolist()
    assert dealt == [name for index, name in enumerate(pages["page"]) if index not in {1, 3}]


@pytest.mark.parametrize(("count", "copies"), [(FOLD_COUNT - 1, 0), (FOLD_COUNT, 1)])
def test_fewer_independent_pages_than_folds_are_an_error(count: int, copies: int) -> None:
    with pytest.raises(ValueError, match=f"got {count} pages in {FOLD_COUNT - 1} groups"):
        assign_folds(*make_tables(count, copies=copies))


def test_a_page_without_a_hash_is_an_error() -> None:
    pages, words, hashes = make_tables(6)
    with pytest.raises(ValueError, match=r"page p0000\.jpg has no hash \(1 missing\)"):
        assign_folds(pages, words, hashes[1:])


def test_the_balance_table_counts_every_page_in_its_fold_and_once_in_all() -> None:
    folds = pd.DataFrame(
        {
            "page": ["a", "b", "c"],
            "fold": [0, 0, 1],
            "stratum": ["w0-h0-a0", "w1-h0-a0", "w0-h0-a0"],
            "group": [0, 0, 1],
            "word_count": [0, 4, 6],
            "text_height": [0.0, 0.02, 0.03],
            "aspect": [1.0, 2.0, 3.0],
        }
    )
    table = balance_table(folds).set_index("fold")
    assert table.loc[["0", "1", "all"], "pages"].tolist() == [2, 1, 3]
    assert table["groups"].tolist() == [1, 1, 2]
    assert table["blank_pages"].tolist() == [1, 0, 1]
    assert table["words"].tolist() == [4, 6, 10]
    assert table["aspect"].tolist() == [1.5, 3.0, 2.0]
    assert table["w0-h0-a0"].tolist() == [1, 1, 2]
    assert table["w1-h0-a0"].tolist() == [1, 0, 1]
