"""CLEval: words of 40 x 10 pixels have four characters, centred at x = 5, 15, 25 and 35."""

from typing import Any

import numpy as np
import pytest

from receipt_ocr.evaluation.cleval import CLEvalSettings, PageScore, score_page, score_pages
from receipt_ocr.geometry.polygons import Polygon
from tests.polygon_strategies import box

WORD = box(0, 0, 40, 10)
NEXT_WORD = box(50, 0, 90, 10)
SQUARE_FAR_AWAY = box(500, 500, 520, 520)
BOTH = box(0, 0, 90, 10)
HALVES = [box(0, 0, 20, 10), box(20, 0, 40, 10)]


@pytest.mark.parametrize(
    ("truth", "found", "expected", "recall", "precision"),
    [
        ([], [], PageScore(0, 0, 0, 0, 0, 0), 0, 0),
        ([WORD], [WORD], PageScore(4, 4, 4, 0, 0, 0), 1, 1),
        # A missed word costs all its characters.
        ([WORD, NEXT_WORD], [], PageScore(8, 0, 0, 0, 0, 0, missed=(0, 1)), 0, 0),
        ([WORD, NEXT_WORD], [WORD], PageScore(8, 4, 4, 0, 0, 0, missed=(1,)), 1 / 2, 1),
        # A word cut in two costs a character of recall, two joined words one of precision.
        ([WORD], HALVES, PageScore(4, 4, 4, 0, 1, 0, split=(0,)), 3 / 4, 1),
        ([WORD, NEXT_WORD], [BOTH], PageScore(8, 8, 8, 0, 0, 1, merged=(0,)), 1, 7 / 8),
        # A character in two detections is matched once and detected twice.
        ([WORD], [WORD, WORD], PageScore(4, 8, 4, 0, 1, 0, split=(0,)), 3 / 4, 4 / 8),
        # A false square counts one character, also without any truth.
        ([WORD], [SQUARE_FAR_AWAY, WORD], PageScore(4, 5, 4, 1, 0, 0, false=(0,)), 1, 4 / 5),
        ([], [SQUARE_FAR_AWAY], PageScore(0, 1, 0, 1, 0, 0, false=(0,)), 0, 0),
        # Penalties make no share negative.
        ([WORD], [WORD] * 6, PageScore(4, 24, 4, 0, 5, 0, split=(0,)), 0, 4 / 24),
    ],
)
def test_counts_and_shares_by_hand(
    truth: list[Polygon],
    found: list[Polygon],
    expected: PageScore,
    recall: float,
    precision: float,
) -> None:
    score = score_page(truth, found)
    assert score == expected
    assert (score.recall, score.precision) == (recall, precision)
    mean = 2 * recall * precision / (recall + precision) if recall and precision else 0.0
    assert score.hmean == pytest.approx(mean)


class TestMatching:
    def test_left_and_upper_edges_belong_to_a_detection_and_the_others_do_not(self) -> None:
        assert score_page([WORD], [box(5, 0, 40, 10)]).characters_matched == 4
        assert score_page([WORD], [box(0, 0, 35, 10)]).characters_matched == 3
        assert score_page([WORD], [box(0, 5, 40, 10)]).characters_matched == 4
        assert score_page([WORD], [box(0, 0, 40, 5)]).characters_matched == 0

    @pytest.mark.parametrize(("bottom", "is_close"), [(25, True), (26, False)])
    def test_three_tenths_of_a_detection_on_the_truth_is_close(
        self, bottom: int, is_close: bool
    ) -> None:
        # 300 of 40 * 25 = 1000 square pixels are exactly 0.3.
        score = score_page([box(0, 0, 30, 10)], [box(0, 0, 40, bottom)])
        assert score.missed == (() if is_close else (0,))
        assert score.false == (() if is_close else (0,))

    def test_a_loose_box_around_two_words_matches_by_their_sum(self) -> None:
        # 400 + 400 of 90 * 25 = 2250: neither word is close, together they cover 0.36.
        score = score_page([WORD, NEXT_WORD], [box(0, 0, 90, 25)])
        assert score.merged == (0,)
        assert score.characters_matched == 8

    def test_a_polygon_that_crosses_itself_counts_by_the_even_odd_rule(self) -> None:
        # A bow tie of two triangles that meet in (20, 5): the middle row is inside at the ends.
        bow_tie = np.array([[0, 0], [40, 10], [40, 0], [0, 10]], dtype=float)
        score = score_page([WORD], [bow_tie])
        assert score.characters_matched == 4
        assert score.precision == 1.0

    def test_polygons_of_fewer_than_four_points_are_skipped_but_keep_their_number(self) -> None:
        triangle = WORD[:3]
        score = score_page([triangle, WORD, NEXT_WORD], [triangle, WORD, SQUARE_FAR_AWAY])
        assert score.characters_truth == 8
        assert (score.missed, score.false) == ((2,), (2,))

    def test_detections_beyond_the_limit_are_dropped(self) -> None:
        limited = CLEvalSettings(max_detections=1)
        score = score_page([WORD, NEXT_WORD], [WORD, NEXT_WORD], settings=limited)
        assert score == PageScore(8, 4, 4, 0, 0, 0, missed=(1,))
        assert score_page([WORD], [SQUARE_FAR_AWAY] * 500 + [WORD]).missed == (0,)

    def test_coordinates_are_rounded_unless_told_otherwise(self) -> None:
        # Rounded to 6 the left edge loses the centre at x = 5; truncated to 5 it holds it.
        almost = box(5.6, 0, 40, 10)
        assert score_page([WORD], [almost]).characters_matched == 3
        as_given = CLEvalSettings(round_coordinates=False)
        assert score_page([WORD], [almost], settings=as_given).characters_matched == 4


class TestIgnoredWords:
    def test_an_ignored_word_is_not_asked_for_and_excuses_its_detection(self) -> None:
        score = score_page([WORD, NEXT_WORD], [NEXT_WORD], ignored=[False, True])
        assert score == PageScore(4, 0, 0, 0, 0, 0, missed=(0,))

    def test_small_parts_of_ignored_words_excuse_a_detection_by_their_sum(self) -> None:
        loose = box(0, 0, 90, 25)
        assert score_page([WORD, NEXT_WORD], [loose], ignored=[True, True]).false == ()
        assert score_page([WORD], [loose], ignored=[True]).false == (0,)

    def test_an_ignored_word_loses_the_area_of_the_words_on_it(self) -> None:
        # All of the detection lies on the ignored block, but the word takes its whole area.
        block = box(0, 0, 100, 100)
        score = score_page([block, WORD], [WORD], ignored=[True, False])
        assert score == PageScore(4, 4, 4, 0, 0, 0)


def test_a_transcription_sets_the_number_of_characters() -> None:
    score = score_page([WORD, NEXT_WORD], [WORD], transcriptions=["total:", None])
    assert (score.characters_truth, score.characters_matched) == (10, 6)
    assert score_page([WORD], [], transcriptions=[""]).characters_truth == 0


BROKEN = np.array([[0, 0], [40, 0], [40, np.nan], [0, 10]])
TOO_TALL = box(0, 0, 10, 1_000_001)
PENTAGON = np.vstack([WORD, [[-5, 5]]])
QUAD = CLEvalSettings(word_model="quad")


@pytest.mark.parametrize(
    ("truth", "detections", "options", "message"),
    [
        ([WORD], [WORD[:3], WORD, BROKEN], {}, "detection 2 must have finite"),
        ([BROKEN], [], {}, "truth 0 must have finite"),
        ([WORD], [WORD, TOO_TALL], {}, r"detection 1 .* within 1,000,000 pixels, got \[10"),
        ([], [WORD.ravel()], {}, r"detection 0 must be a \(P, 2\) polygon"),
        ([WORD], [], {"transcriptions": []}, "transcriptions must be one a truth: 0 for 1"),
        ([WORD], [], {"ignored": [True, False]}, "ignored must be one a truth: 2 for 1"),
        ([PENTAGON], [], {"settings": QUAD}, "truth 0 has 5 points"),
        ([], [WORD, PENTAGON], {"settings": QUAD}, "detection 1 has 5 points"),
    ],
)
def test_bad_input_is_an_error_that_names_the_polygon(
    truth: Any, detections: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        score_page(truth, detections, **options)


class TestManyPages:
    PERFECT = PageScore(4, 4, 4, 0, 0, 0)
    HALF = PageScore(16, 8, 8, 0, 0, 0)
    BLANK = PageScore(0, 0, 0, 0, 0, 0)

    def test_the_page_mean_weighs_pages_and_the_corpus_weighs_characters(self) -> None:
        score = score_pages([self.PERFECT, self.HALF])
        assert (score.recall, score.precision) == (0.75, 1.0)
        assert score.hmean == pytest.approx((1 + 2 / 3) / 2)
        assert (score.corpus_recall, score.corpus_precision) == (12 / 20, 1.0)
        assert score.corpus_hmean == pytest.approx(0.75)
        assert (score.pages, score.blank_pages) == (2, 0)

    def test_a_blank_page_pulls_the_page_mean_down_but_not_the_corpus(self) -> None:
        score = score_pages([self.PERFECT, self.BLANK])
        assert (score.hmean, score.corpus_hmean, score.blank_pages) == (0.5, 1.0, 1)

    def test_no_pages_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="at least one page"):
            score_pages([])
