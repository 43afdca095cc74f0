"""Tables of scores: the truth of a subset, rows of pages, means as on the leaderboard."""

import pandas as pd
import pytest

from receipt_ocr.analysis.scores import (
    PAGE_COLUMNS,
    SCORE_COLUMNS,
    prepare_truths,
    tabulate_pages,
    tabulate_scores,
)
from receipt_ocr.evaluation.cleval import PageScore, score_page

BAR = [10.0, 10.0, 110.0, 10.0, 110.0, 30.0, 10.0, 30.0]
LOW_BAR = [10.0, 50.0, 110.0, 50.0, 110.0, 70.0, 10.0, 70.0]


def corners(flat: list[float]) -> list[list[float]]:
    return [flat[i : i + 2] for i in range(0, 8, 2)]


PAGES = pd.DataFrame(
    [("a", "train", True), ("b", "train", True), ("c", "test", True), ("d", "test", False)],
    columns=["page", "subset", "has_truth"],
)
WORDS = pd.DataFrame(
    [("a", "train", BAR, False), ("a", "train", LOW_BAR, True), ("c", "test", BAR, False)],
    columns=["page", "subset", "polygon", "ignored"],
)


def test_truths_are_those_of_the_subset_and_blank_pages_stay() -> None:
    truths = prepare_truths(PAGES, WORDS, "train")
    assert list(truths) == ["a", "b"]
    assert truths["a"].is_care.tolist() == [True, False]
    assert len(truths["b"].is_care) == 0


def test_pages_whose_truth_is_withheld_have_none() -> None:
    assert list(prepare_truths(PAGES, WORDS, "test")) == ["c"]
    assert prepare_truths(PAGES, WORDS, "holdout") == {}
    assert list(prepare_truths(PAGES, WORDS, "train", ["b", "c"])) == ["b"]  # by name


def test_a_row_counts_the_words_of_each_kind_of_error() -> None:
    # The upper word is cut into its halves, the lower one is missed, one box hits nothing.
    left, right = [10, 10, 60, 10, 60, 30, 10, 30], [60, 10, 110, 10, 110, 30, 60, 30]
    stray = [10, 200, 60, 200, 60, 220, 10, 220]
    found = [corners(box) for box in (left, right, stray)]
    score = score_page([corners(BAR), corners(LOW_BAR)], found)
    row = tabulate_pages("fold_3", "test", {"c": score}).iloc[0]
    assert row[["member", "subset", "page"]].tolist() == ["fold_3", "test", "c"]
    assert row[["missed", "split", "merged", "false"]].tolist() == [1, 1, 0, 1]
    assert row["hmean"] == score.hmean
    assert row["recall_penalty"] == 1


def test_no_pages_give_a_table_of_the_same_types() -> None:
    empty = tabulate_pages("ensemble", "holdout", {})
    full = tabulate_pages("ensemble", "test", {"c": PageScore(10, 10, 9, 1, 0, 0)})
    assert list(empty.columns) == PAGE_COLUMNS
    assert empty.dtypes.tolist() == full.dtypes.tolist()
    pd.testing.assert_frame_equal(pd.concat([empty, full], ignore_index=True), full)


def test_scores_are_means_over_pages_and_over_all_characters() -> None:
    # Page c: recall 8/10, precision 8/8, H 16/18; page d: nothing of 30 characters is found.
    pages = {"c": PageScore(10, 8, 8, 0, 0, 0), "d": PageScore(30, 0, 0, 0, 0, 0)}
    table = tabulate_scores(tabulate_pages("fold_0", "test", pages))
    assert list(table.columns) == SCORE_COLUMNS
    row = table.iloc[0]
    assert row[["member", "subset", "pages"]].tolist() == ["fold_0", "test", 2]
    assert row["recall"] == pytest.approx(0.4)
    assert row["precision"] == pytest.approx(0.5)
    assert row["hmean"] == pytest.approx(8 / 18)
    # Together 8 of 40 characters, 8 of 8 detected: H = 2 * 0.2 * 1 / 1.2
    assert row["corpus_hmean"] == pytest.approx(1 / 3)


def test_each_member_and_subset_has_its_row_in_order_of_appearance() -> None:
    page = {"c": PageScore(10, 10, 10, 0, 0, 0)}
    keys = [("fold_1", "out_of_fold"), ("fold_0", "test"), ("ensemble", "test")]
    table = tabulate_scores(pd.concat([tabulate_pages(*key, page) for key in keys]))
    assert list(zip(table["member"], table["subset"], strict=True)) == keys


def test_no_scored_page_gives_no_row() -> None:
    table = tabulate_scores(tabulate_pages("fold_0", "test", {}))
    assert table.empty
    assert list(table.columns) == SCORE_COLUMNS
