"""Where the characters of a word lie, and how many it has."""

import numpy as np
import pytest

from receipt_ocr.evaluation.outlines import collect_outlines
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.evaluation.words import false_positive_lengths, prepare_truth
from receipt_ocr.geometry.polygons import Polygon
from tests.polygon_strategies import box

POLYGON = CLEvalSettings()
QUAD = CLEvalSettings(word_model="quad")


def false_positive_length(polygon: Polygon, settings: CLEvalSettings) -> int:
    outlines = collect_outlines([polygon], "detection", settings)
    (length,) = false_positive_lengths(outlines, np.array([0]), settings)
    return length


BENT = np.array([[0, 4], [20, 0], [40, 4], [40, 14], [20, 10], [0, 14]], dtype=float)
ODD = np.array([[0, 0], [40, 0], [40, 10], [20, 10], [0, 10]], dtype=float)
SKEWED = np.array([[0, 0], [30, 4], [30, 14], [0, 10]], dtype=float)


@pytest.mark.parametrize(
    ("word", "text", "settings", "centres"),
    [
        # A quad is cut into equal characters.
        (box(0, 0, 40, 10), None, POLYGON, [[5, 5], [15, 5], [25, 5], [35, 5]]),
        # Inserted points are truncated: cuts at 0, 7.5, 15, 22.5, 30 become 0, 7, 15, 22, 30.
        (box(0, 0, 30, 10), "abcd", POLYGON, [[3.5, 5], [11, 5], [18.5, 5], [26, 5]]),
        # A side of two sections gives a character two steps. The upper side bends up to y = 0 in
        # the middle: 4, 3, 2, 1, 0, 1, 2, 3, 4.
        (BENT, "abcd", POLYGON, [[5, 8], [15, 6], [25, 6], [35, 8]]),
        # An odd polygon jumps the last section of its lower side. Upper side 0, 10, 20, 30, 40;
        # lower side 0, 5, 10, 15 and then its own end, 40.
        (ODD, None, POLYGON, [[3.75, 5], [11.25, 5], [18.75, 5], [31.25, 5]]),
        # The quad model spaces characters on the middle line, and stacks those of a tall word.
        (SKEWED, "ab", QUAD, [[7.5, 6], [22.5, 8]]),
        (box(0, 0, 10, 40), None, QUAD, [[5, 35], [5, 25], [5, 15], [5, 5]]),
    ],
)
def test_the_centres_of_a_word_by_hand(
    word: Polygon, text: str | None, settings: CLEvalSettings, centres: list[list[float]]
) -> None:
    found = prepare_truth([word], transcriptions=[text], settings=settings).centres.tolist()
    assert found == centres


@pytest.mark.parametrize(("width", "height", "length"), [(40, 10, 4), (26, 10, 3), (10, 26, 3)])
def test_the_length_is_the_longer_side_over_the_shorter(
    width: int, height: int, length: int
) -> None:
    word = box(0, 0, width, height)
    assert prepare_truth([word], settings=POLYGON).lengths.tolist() == [length]
    assert prepare_truth([word], settings=QUAD).lengths.tolist() == [length]


def test_a_word_on_one_line_has_as_many_characters_as_there_can_be() -> None:
    line = np.array([[0, 0], [10, 0], [20, 0], [30, 0]], dtype=float)
    assert prepare_truth([line]).lengths.tolist() == [100]
    assert false_positive_length(line, POLYGON) == 100


def test_ignored_words_are_measured_by_their_shape() -> None:
    word = box(0, 0, 40, 10)
    words = prepare_truth([word, word], transcriptions=["a", "a"], ignored=[False, True])
    assert words.lengths.tolist() == [1, 4]
    assert words.owners.tolist() == [0, 1, 1, 1, 1]


def test_the_quad_model_charges_a_false_positive_by_its_height_over_width() -> None:
    tall = box(0, 0, 10, 43)
    # 0.5 + 0.25 rounds to 1, 0.5 + 4.3 to 5, and no more than 10 are charged.
    assert false_positive_length(box(0, 0, 40, 10), QUAD) == 1
    assert false_positive_length(tall, QUAD) == 5
    assert false_positive_length(tall * [1, 9], QUAD) == 10
