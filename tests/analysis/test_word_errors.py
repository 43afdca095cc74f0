"""What became of every word, and which kinds of words are lost."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.word_errors import (
    GROUPS,
    WORD_COLUMNS,
    choose_worst,
    group_errors,
    tabulate_words,
)
from receipt_ocr.evaluation.cleval import PageScore, prepare_truth, score_prepared
from receipt_ocr.geometry.polygons import Polygon
from tests.analysis.made_records import list_words, word

NUMBERS = ["words", "missed_share", "split_share", "missed_characters", "lost_share"]


NAMES = {
    "all": "all",
    "below": "below {}",
    "up to": "up to {}",
    "from": "{0} and more",
    "between": "{0} to {1}",
    "single": "{0}",
}


def tabulate(words: pd.DataFrame, by: str) -> pd.DataFrame:
    """The groups as a table, with their names and the ends of their intervals."""
    rows = []
    for group in group_errors(words, by):
        kind, first, last = group.values.kind, group.values.first, group.values.last
        name = NAMES[kind].format(*((last,) if kind in {"below", "up to"} else (first, last)))
        limits = (group.interval.low, group.interval.high) if group.interval else (None, None)
        rows.append(vars(group) | {"group": name, "low": limits[0], "high": limits[1]})
    return pd.DataFrame(rows)


def bar(left: float, top: float, width: float = 80, height: float = 10) -> Polygon:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


BY_HEIGHT = list_words(
    word("missed", height=8, page="a"),
    word("found", height=8, page="b"),
    word("split", height=10),
    word("found", height=12),
    word("missed", height=20, characters=6),
    word("missed", height=20),
    word("found", height=30),
    word("found", height=40),
    word("false", height=9),
    word("false", height=41),
    word("merged", height=25),
)


def test_heights_are_cut_into_quarters_of_the_true_words() -> None:
    found = tabulate(BY_HEIGHT, "height")
    names = ["below 10.0", "10.0 to 20.0", "20.0 to 30.0", "30.0 and more"]
    assert found["group"].tolist() == names
    assert found[NUMBERS].to_numpy().tolist() == [
        [2, 0.5, 0.0, 4, 4 / 34],  # 7 words of 4 characters and one of 6
        [2, 0.0, 0.5, 0, 0.0],
        [2, 1.0, 0.0, 10, 10 / 34],
        [2, 0.0, 0.0, 0, 0.0],
    ]
    assert found["false"].tolist() == [1, 0, 0, 1]
    assert found["merged"].tolist() == [0, 0, 1, 0]


def test_the_interval_draws_whole_pages() -> None:
    found = tabulate(BY_HEIGHT, "height").set_index("group")
    # One page of two misses its only small word: none, half or all in a draw of two pages.
    assert found.loc["below 10.0", ["low", "high"]].tolist() == [0.0, 1.0]
    # All others stand on one page, which says nothing of other pages.
    assert found.iloc[1:][["low", "high"]].isna().all(axis=None)


def test_tilts_are_cut_at_fixed_angles_and_letters_and_squares_have_none() -> None:
    words = list_words(
        word(tilt=0.0),
        word("missed", tilt=0.99, characters=2),
        word("missed", tilt=88.0, characters=1),  # a narrow letter stands upright
        word(tilt=1.0),
        word("split", tilt=2.9),
        word("missed", tilt=10.0, characters=5),
        word("missed", tilt=45.0, characters=2, height=30, length=40),  # as high as long
        word("missed", tilt=45.0, characters=2, height=20, length=30),  # just long enough
        word("false", tilt=30.0),
        word("false", tilt=90.0),
        word("false", tilt=0.0, height=40),
    )
    found = tabulate(words, "tilt")
    assert found["group"].tolist() == ["below 1", "1 to 3", "10 and more"]  # none from 3 to 10
    total = 4 + 2 + 1 + 4 + 4 + 5 + 2 + 2  # also of the letter and the square word
    assert found[NUMBERS].to_numpy().tolist() == [
        [2, 0.5, 0.0, 2, 2 / total],
        [2, 0.0, 0.5, 0, 0.0],
        [2, 1.0, 0.0, 7, 7 / total],
    ]
    assert found["false"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("by", ["height", "length", "density"])
def test_equal_words_are_one_group(by: str) -> None:
    found = tabulate(list_words(*(word() for _ in range(5))), by)
    assert found[["group", "words"]].to_numpy().tolist() == [["all", 5]]


def test_a_name_says_what_is_in_its_group() -> None:
    heights = [12.01, 12.03, 12.04, 12.08, 12.12, 12.26, 12.27, 12.31]
    found = tabulate(list_words(*(word(height=height) for height in heights)), "height")
    assert found["group"].tolist() == ["below 12.1", "12.1 to 12.3", "12.3 and more"]
    assert found["words"].tolist() == [4, 3, 1]


@pytest.mark.parametrize("by", list(GROUPS))
def test_groups_together_hold_every_true_word_once(by: str) -> None:
    rng = np.random.default_rng(1)
    words = list_words(
        *(
            word(
                str(rng.choice(["found", "missed", "split", "false", "merged"])),
                page=str(rng.integers(9)),
                height=rng.uniform(5, 20),
                length=rng.uniform(30, 90),
                tilt=rng.uniform(0, 20),
                characters=rng.integers(2, 12),
                words_of_page=rng.integers(5, 60),
            )
            for _ in range(200)
        )
    )
    found, true = tabulate(words, by), words[words["is_true"]]
    missed = true[true["outcome"] == "missed"]
    assert found["words"].sum() == len(true)
    assert (found["words"] * found["missed_share"]).sum() == pytest.approx(len(missed))
    assert found["missed_characters"].sum() == missed["characters"].sum()
    whole = missed["characters"].sum() / true["characters"].sum()
    assert found["lost_share"].sum() == pytest.approx(whole)
    if by != "length":
        assert found["false"].sum() == (words["outcome"] == "false").sum()
    assert found["missed_share"].between(found["low"], found["high"]).all()


def test_without_true_words_there_are_no_groups() -> None:
    for by in GROUPS:
        assert group_errors(list_words(), by) == []
        assert group_errors(list_words(word("false"), word("merged")), by) == []


def test_other_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="one of height, length, tilt, density, got 'colour'"):
        group_errors(BY_HEIGHT, "colour")


TRIANGLE = np.array([[0.0, 0], [9, 0], [9, 9]])  # no word: it is skipped, and keeps its index
STEEP = np.array([[20.0, 300], [60, 330], [54, 338], [14, 308]])  # 50 by 10, 36.87 degrees
TRUTH = [
    TRIANGLE,
    bar(20, 20),  # 1: found
    bar(20, 50),  # 2: missed
    bar(20, 80),  # 3: found in two halves
    bar(20, 110),  # 4 and 5: found together
    bar(110, 110),
    bar(20, 140),  # 6: not asked for
    bar(20, 170),  # 7: not asked for, and not found either
    STEEP,  # 8: missed
]
IGNORED = [False] * 6 + [True] * 2 + [False]
FOUND = [
    bar(20, 20),
    TRIANGLE,
    bar(20, 80, 40),
    bar(60, 80, 40),
    bar(20, 110, 170),
    bar(20, 140),
    bar(300, 300, 60, 20),
]


def test_every_word_that_counts_has_one_row() -> None:
    truths = {
        "a": prepare_truth(TRUTH, ignored=IGNORED),
        "blank": prepare_truth([]),
        "not judged": prepare_truth(TRUTH),
    }
    judged: dict[str, Any] = {
        "a": (FOUND, score_prepared(truths["a"], FOUND)),
        "blank": ((bar(1, 1),), score_prepared(truths["blank"], [bar(1, 1)])),
    }
    found = tabulate_words("fold_0", "holdout", judged, truths)
    assert found.columns.tolist() == WORD_COLUMNS
    assert set(found["member"]) == {"fold_0"} and set(found["subset"]) == {"holdout"}
    sizes = ["outcome", "is_true", "words_of_page", "height", "length"]
    page = found[found["page"] == "a"]
    rows = [tuple(row) for row in page[sizes].round(3).itertuples(index=False)]
    assert rows == [
        ("found", True, 6, 10.0, 80.0),
        ("missed", True, 6, 10.0, 80.0),
        ("split", True, 6, 10.0, 80.0),
        ("found", True, 6, 10.0, 80.0),
        ("found", True, 6, 10.0, 80.0),
        ("missed", True, 6, 10.0, 50.0),
        ("merged", False, 6, 10.0, 170.0),
        ("false", False, 6, 20.0, 60.0),
    ]
    # The longer side over the shorter: 8 characters, 5 of the steep one.
    assert page["characters"].tolist() == [8, 8, 8, 8, 8, 5, 0, 0]
    np.testing.assert_allclose(page["tilt"], [0, 0, 0, 0, 0, 36.87, 0, 0], atol=0.01)
    blank = found[found["page"] == "blank"]
    assert blank[["outcome", "words_of_page"]].to_numpy().tolist() == [["false", 0]]


def test_the_rows_agree_with_the_score() -> None:
    truth = prepare_truth(TRUTH, ignored=IGNORED)
    score = score_prepared(truth, FOUND)
    found = tabulate_words("fold_0", "test", {"a": (FOUND, score)}, {"a": truth})
    counts = found["outcome"].value_counts()
    for outcome in ("missed", "split", "merged", "false"):
        assert counts[outcome] == len(getattr(score, outcome)), outcome
    assert found["characters"].sum() == score.characters_truth


def test_without_pages_the_table_joins_others_without_changing_them() -> None:
    nothing = tabulate_words("fold_0", "test", {}, {})
    truth = prepare_truth(TRUTH)
    some = tabulate_words("f", "test", {"a": ([], score_prepared(truth, []))}, {"a": truth})
    assert nothing.columns.tolist() == WORD_COLUMNS
    pd.testing.assert_series_equal(pd.concat([nothing, some]).dtypes, some.dtypes)


def test_the_worst_pages_come_first_and_those_without_text_not_at_all() -> None:
    hits = {"b": 5, "a": 5, "blank": 0, "best": 10, "none": 0}
    judged: dict[str, Any] = {
        page: ((), PageScore(0 if page == "blank" else 10, 10, matched, 0, 0, 0))
        for page, matched in hits.items()
    }
    assert list(choose_worst(judged, 3)) == ["none", "a", "b"]
    assert choose_worst(judged, 9) == {page: judged[page] for page in ("none", "a", "b", "best")}
    assert choose_worst({}, 3) == {}
