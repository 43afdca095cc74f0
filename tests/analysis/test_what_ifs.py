"""What each kind of error costs, and what is tried next."""

import pandas as pd
import pytest

from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.analysis.what_ifs import NextGain, list_next_gains
from receipt_ocr.analysis.word_errors import ValueRange
from receipt_ocr.evaluation.cleval import PageScore
from tests.analysis.made_records import list_words, word

FIRST = PageScore(100, 98, 90, 6, 4, 3, missed=(1, 2), split=(0, 4, 6), merged=(3,), false=(8, 9))
SECOND = PageScore(200, 190, 180, 10, 2, 5, missed=(7,), split=(5,), merged=(1, 2), false=(3,))
CLEAN = PageScore(100, 100, 100, 0, 0, 0)


def pages(*scores: PageScore, member: str = "fold_0", subset: str = "out_of_fold") -> pd.DataFrame:
    return tabulate_pages(member, subset, {str(i): score for i, score in enumerate(scores)})


def corpus_hmean(truth: int, detected: int, matched: int, cuts: int, joins: int) -> float:
    recall, precision = (matched - cuts) / truth, (matched - joins) / detected
    return 2 * recall * precision / (recall + precision)


NOW = corpus_hmean(300, 288, 270, 6, 8)


def find(gains: list[NextGain], kind: str) -> NextGain:
    (found,) = [one for one in gains if one.kind == kind]
    return found


def test_other_subsets_and_the_folds_of_other_experiments_do_not_count() -> None:
    own = pages(FIRST, SECOND)
    others = [
        pages(FIRST, member="ensemble", subset="holdout"),
        pages(FIRST, subset="test"),
        pages(FIRST, member="wide/fold_0"),
    ]
    words = list_words(word("missed", 0), word("found", 1))
    more = list_words(
        word("missed", 0, member="wide/fold_0"),
        word("missed", 0, member="ensemble", subset="holdout"),
    )
    alone = list_next_gains(own, words)
    assert list_next_gains(pd.concat([own, *others]), pd.concat([words, more])) == alone
    assert [one.gain for one in alone] == sorted((one.gain for one in alone), reverse=True)
    missed = find(alone, "missed")
    assert (missed.count, missed.of) == (1, 2)
    assert missed.gain == pytest.approx(corpus_hmean(300, 292, 274, 6, 8) - NOW)
    assert list_next_gains(pd.concat(others), words) == []


def small_words(missed_of_small: int, missed_of_others: int) -> pd.DataFrame:
    """On each of 20 pages 10 small and 30 other words."""
    return list_words(
        *(
            word("missed" if i < missed else "found", page, height=height, characters=3)
            for page in range(20)
            for height, count, missed in (
                (6.0, 10, missed_of_small),
                (12.0, 10, missed_of_others),
                (20.0, 20, 0),
            )
            for i in range(count)
        )
    )


def test_small_text_stands_out_where_it_is_missed_more_often() -> None:
    gains = list_next_gains(pages(FIRST, SECOND), small_words(4, 1))
    found = find(gains, "height")
    assert found.group is not None
    assert found.group.values == ValueRange("below", "-inf", "12.0")
    assert (found.group.missed_share, found.elsewhere) == pytest.approx((0.4, 20 / 600))
    lost = 20 * 4 * 3
    assert found.gain == pytest.approx(corpus_hmean(300, 288 + lost, 270 + lost, 6, 8) - NOW)
    assert not {"length", "tilt"} & {one.kind for one in gains}


def test_small_text_does_not_stand_out_where_all_text_is_missed_as_often() -> None:
    gains = list_next_gains(pages(FIRST, SECOND), small_words(1, 3))
    assert "height" not in {one.kind for one in gains}
    assert find(gains, "missed").of == 800


def test_a_group_on_a_single_page_does_not_stand_out() -> None:
    rows = [word("found", page) for page in range(20) for _ in range(10)]
    rows += [word("found", 1, height=6.0) for _ in range(40)]  # so that half the words are small
    for lost, expected in (((0,), 0), ((0, 2), 1)):
        small = [word("missed", lost[i % len(lost)], height=3.0) for i in range(80)]
        gains = list_next_gains(pages(FIRST, SECOND), list_words(*rows, *small))
        assert [one.kind for one in gains].count("height") == expected
        assert (find(gains, "missed").count, find(gains, "missed").of) == (80, 320)


def test_tilted_short_and_dense_text_stand_out_too() -> None:
    odd = {"tilt": 12.0, "characters": 2, "words_of_page": 90}
    rows = [
        word("missed" if i < 2 else "found", page, **(odd if i < 4 else {"tilt": 0.5}))
        for page in range(20)
        for i in range(16)
    ]
    gains = list_next_gains(pages(FIRST, SECOND), list_words(*rows))
    for kind, values in (
        ("tilt", ValueRange("from", "10", "inf")),
        ("length", ValueRange("up to", "-inf", "3")),
        ("density", ValueRange("from", "90", "inf")),
    ):
        group = find(gains, kind).group
        assert group is not None
        assert (group.values, group.missed_share) == (values, 0.5)


@pytest.mark.parametrize("words", [None, list_words(), list_words(word("found", 0))])
def test_without_missed_words_nothing_is_said_of_them(words: pd.DataFrame | None) -> None:
    gains = list_next_gains(pages(FIRST), words)
    assert {one.kind for one in gains} == {"cuts", "joins", "false"}


def test_what_no_leaderboard_shows_has_no_line() -> None:
    assert list_next_gains(pages(CLEAN), None) == []
    # A cut in 30 000 characters costs 0.00002, ten of them 0.00017.
    for cuts, count in ((1, 0), (10, 1)):
        score = PageScore(30_000, 30_000, 30_000, 0, cuts, 0, split=(1,))
        gains = list_next_gains(pages(score), None)
        assert len(gains) == count
