"""Tables of comparisons: which pages are paired with which, and what is left out."""

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.bootstrap import Verdict, compare_paired, leaderboard_interval
from receipt_ocr.analysis.comparisons import (
    ALL_FOLDS,
    MEAN_FOLD,
    compare_tables,
    list_intervals,
    state_verdict,
)
from receipt_ocr.analysis.scores import PAGE_COLUMNS
from tests.analysis.made_records import list_pages

PAGES = 20
NAMES = ("lite0@flips", "lite0")


def draw(seed: int, pages: int = PAGES) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.6, 0.9, pages)


def whole(gain: float = 0.0) -> pd.DataFrame:
    """Two folds of 10 out-of-fold pages each, an ensemble and 20 pages of holdout and test."""
    tables = [
        list_pages("fold_0", "out_of_fold", draw(0)[:10] + gain),
        list_pages("fold_1", "out_of_fold", draw(0)[10:] + gain, first=10),
    ]
    for subset, seed in (("holdout", 1), ("test", 2)):
        tables += [list_pages("fold_0", subset, draw(seed) + gain)]
        tables += [list_pages("fold_1", subset, draw(seed) - 0.1 + gain)]
        tables += [list_pages("ensemble", subset, draw(seed + 10))]
    return pd.concat(tables, ignore_index=True)


def find(table: pd.DataFrame, subset: str, member: str) -> pd.Series:
    found = table[(table["subset"] == subset) & (table["member"] == member)]
    assert len(found) == 1, table
    return found.iloc[0]


def test_folds_are_pooled_and_ensembles_and_mean_folds_paired() -> None:
    found = compare_tables(whole(0.02), whole(), NAMES)
    assert list(zip(found["subset"], found["member"], strict=True)) == [
        ("out_of_fold", ALL_FOLDS),
        ("holdout", "ensemble"),
        ("holdout", MEAN_FOLD),
        ("test", "ensemble"),
        ("test", MEAN_FOLD),
    ]
    assert found["pages"].tolist() == [PAGES] * 5
    pooled = find(found, "out_of_fold", ALL_FOLDS)
    assert pooled["second_hmean"] == pytest.approx(draw(0).mean())
    assert pooled["difference"] == pytest.approx(0.02)
    mean_fold = find(found, "test", MEAN_FOLD)
    assert mean_fold["second_hmean"] == pytest.approx(draw(2).mean() - 0.05)
    better = {(ALL_FOLDS, "better"), (MEAN_FOLD, "better"), ("ensemble", "cannot be told apart")}
    assert set(zip(found["member"], found["verdict"], strict=True)) == better
    assert found.attrs["names"] == list(NAMES)


def test_sides_turned_round_turn_the_verdict() -> None:
    found = compare_tables(whole(), whole(0.02), NAMES)
    assert find(found, "out_of_fold", ALL_FOLDS)["verdict"] == "worse"
    assert find(found, "out_of_fold", ALL_FOLDS)["high"] == pytest.approx(-0.02)


def test_pages_are_paired_by_name_whatever_their_order() -> None:
    first, second = list_pages("ensemble", "test", draw(3)), list_pages("ensemble", "test", draw(4))
    found = compare_tables(first.sample(frac=1, random_state=1), second, NAMES).iloc[0]
    plain = compare_paired(draw(3), draw(4))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(
        (plain.difference, plain.low, plain.high)
    )


def test_pages_of_one_side_alone_are_left_out_and_counted() -> None:
    first = list_pages("ensemble", "test", draw(3, 12))  # p00 to p11
    second = list_pages("ensemble", "test", draw(3, 12)[2:], first=2)  # p02 to p11
    second = pd.concat([second, list_pages("ensemble", "test", [0.0], first=90)])
    found = compare_tables(first, second, NAMES).iloc[0]
    assert (found["pages"], found["only_first"], found["only_second"]) == (10, 2, 1)
    assert found["first_hmean"] == found["second_hmean"] == pytest.approx(draw(3, 12)[2:].mean())
    assert found["verdict"] == "cannot be told apart"


def test_only_folds_that_both_have_are_compared() -> None:
    only = whole()
    only = only[only["member"] != "fold_1"]
    found = compare_tables(whole(), only, NAMES)
    pooled, mean_fold = find(found, "out_of_fold", ALL_FOLDS), find(found, "test", MEAN_FOLD)
    assert (pooled["pages"], pooled["only_first"], pooled["only_second"]) == (10, 10, 0)
    assert mean_fold["first_hmean"] == mean_fold["second_hmean"] == pytest.approx(draw(2).mean())


def test_members_of_other_experiments_are_no_own_folds() -> None:
    foreign = [
        list_pages("wide/fold_0", subset, np.zeros(PAGES)) for subset in ("out_of_fold", "test")
    ]
    pd.testing.assert_frame_equal(
        compare_tables(pd.concat([whole(), *foreign]), whole(), NAMES),
        compare_tables(whole(), whole(), NAMES),
    )


def test_subsets_that_one_lacks_are_no_rows() -> None:
    no_holdout = whole()
    no_holdout = no_holdout[no_holdout["subset"] != "holdout"]
    assert set(compare_tables(whole(), no_holdout, NAMES)["subset"]) == {"out_of_fold", "test"}


@pytest.mark.parametrize(
    "other",
    [
        pd.DataFrame(columns=PAGE_COLUMNS),
        list_pages("ensemble", "test", [0.5]),
        list_pages("fold_7", "test", draw(1)),
        list_pages("ensemble", "test", [0.5, 0.6], first=90),
    ],
    ids=["no rows", "one page", "other members", "other pages"],
)
def test_less_than_two_common_pages_are_no_row(other: pd.DataFrame) -> None:
    found = compare_tables(other, whole(), NAMES)
    assert found.empty
    assert {"subset", "member", "pages", "first_hmean", "verdict"} < set(found.columns)


def test_intervals_of_every_member_and_of_a_leaderboard() -> None:
    found = list_intervals(whole(), test_pages=50)
    assert len(found) == 3 + 2 * 3
    assert ((found["low"] < found["hmean"]) & (found["hmean"] < found["high"])).all()
    pooled = find(found, "out_of_fold", ALL_FOLDS)
    board = leaderboard_interval(draw(0), 50)
    assert (pooled["leaderboard_low"], pooled["leaderboard_high"]) == pytest.approx(
        (board.low, board.high), abs=1e-12
    )
    others = found[found["member"] != ALL_FOLDS]
    assert others[["leaderboard_low", "leaderboard_high"]].isna().all(axis=None)


def test_no_leaderboard_is_foretold_unless_asked() -> None:
    assert list_intervals(whole())[["leaderboard_low", "leaderboard_high"]].isna().all(axis=None)


def test_a_single_page_has_a_score_and_no_interval() -> None:
    found = list_intervals(list_pages("fold_0", "out_of_fold", [0.7]), test_pages=5)
    assert found["member"].tolist() == ["fold_0", ALL_FOLDS]
    assert found["hmean"].tolist() == [0.7, 0.7]
    assert found[["low", "high", "leaderboard_low", "leaderboard_high"]].isna().all(axis=None)


def test_no_rows_have_no_intervals() -> None:
    assert list_intervals(pd.DataFrame(columns=PAGE_COLUMNS), test_pages=5).empty


def test_a_score_that_is_no_number_is_named() -> None:
    bad = whole()
    bad.loc[3, "hmean"] = np.nan
    message = r"of lite0 hold H-mean nan for member fold_0, page p03 \(out_of_fold\)"
    with pytest.raises(ValueError, match=message):
        compare_tables(whole(), bad, NAMES)
    with pytest.raises(ValueError, match="page p03"):
        list_intervals(bad)


def test_scores_by_other_true_words_are_refused() -> None:
    first = list_pages("ensemble", "test", draw(1)).assign(characters_truth=100)
    second = first.copy()
    second.loc[4, "characters_truth"] = 98
    message = r"1 pages .* p04 \(test\) has 100 characters for lite0@flips, 98 for lite0"
    with pytest.raises(ValueError, match=message):
        compare_tables(first, second, NAMES)


def test_missing_columns_and_no_test_pages_are_refused() -> None:
    with pytest.raises(ValueError, match="of lite0 lack the columns page, hmean"):
        compare_tables(whole(), whole().drop(columns=["page", "hmean"]), NAMES)
    with pytest.raises(ValueError, match="test_pages must be 1 or more, got 0"):
        list_intervals(whole(), test_pages=0)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("better", "lite0@flips is better than lite0"),
        ("worse", "lite0 is better than lite0@flips"),
        ("cannot be told apart", "lite0@flips and lite0 cannot be told apart"),
    ],
)
def test_verdicts_are_sentences(verdict: Verdict, sentence: str) -> None:
    assert state_verdict(verdict, NAMES) == sentence
