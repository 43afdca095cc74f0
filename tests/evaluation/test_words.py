"""Where the characters of a word lie, and how many it has."""

import numpy as np
import pytest

from receipt_ocr.evaluation.outlines import collect_outlines
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.evaluation.words import false_positive_lengths, prepare_truth
from receipt_ocr.geometry.polygons import Polygon

POLYGON = CLEvalSettings()
QUAD = CLEvalSettings(word_model="quad")


def false_positive_length(polygon: Polygon, settings: CLEvalSettings) -> int:
    outlines = collect_outlines([polygon], "detection", settings)
    (length,) = false_positive_lengths(outlines, np.array([0]), settings)
    return length


def centres_of(points: list[list[float]], **options: object) -> list[list[float]]:
    return prepare_truth([np.array(points, dtype=float)], **options).centres.tolist()  # type: ignore[arg-type]


def test_a_quad_is_cut_into_equal_characters() -> None:
    centres = centres_of([[0, 0], [40, 0], [40, 10], [0, 10]])
    assert centres == [[5, 5], [15, 5], [25, 5], [35, 5]]


def test_inserted_points_are_truncated_and_given_ones_kept() -> None:
    # Cuts at 0, 7.5, 15, 22.5 and 30 become 0, 7, 15, 22 and 30.
    centres = centres_of([[0, 0], [30, 0], [30, 10], [0, 10]], transcriptions=["abcd"])
    assert centres == [[3.5, 5], [11, 5], [18.5, 5], [26, 5]]


def test_a_side_of_two_sections_gives_a_character_two_steps() -> None:
    # The upper side bends up to y = 0 in the middle: 4, 3, 2, 1, 0, 1, 2, 3, 4.
    bent = [[0, 4], [20, 0], [40, 4], [40, 14], [20, 10], [0, 14]]
    centres = centres_of(bent, transcriptions=["abcd"])
    assert centres == [[5, 8], [15, 6], [25, 6], [35, 8]]


def test_an_odd_polygon_jumps_the_last_section_of_its_lower_side() -> None:
    # Upper side 0, 10, 20, 30, 40; lower side 0, 5, 10, 15 and then its own end, 40.
    odd = [[0, 0], [40, 0], [40, 10], [20, 10], [0, 10]]
    assert centres_of(odd) == [[3.75, 5], [11.25, 5], [18.75, 5], [31.25, 5]]


@pytest.mark.parametrize(("width", "height", "length"), [(40, 10, 4), (26, 10, 3), (10, 26, 3)])
def test_the_length_is_the_longer_side_over_the_shorter(
    width: int, height: int, length: int
) -> None:
    word = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    assert prepare_truth([word], settings=POLYGON).lengths.tolist() == [length]
    assert prepare_truth([word], settings=QUAD).lengths.tolist() == [length]


def test_a_word_on_one_line_has_as_many_characters_as_there_can_be() -> None:
    line = np.array([[0, 0], [10, 0], [20, 0], [30, 0]], dtype=float)
    assert prepare_truth([line]).lengths.tolist() == [100]
    assert false_positive_length(line, POLYGON) == 100


def test_ignored_words_are_measured_by_their_shape() -> None:
    word = np.array([[0, 0], [40, 0], [40, 10], [0, 10]], dtype=float)
    words = prepare_truth([word, word], transcriptions=["a", "a"], ignored=[False, True])
    assert words.lengths.tolist() == [1, 4]
    assert words.owners.tolist() == [0, 1, 1, 1, 1]


def test_the_quad_model_spaces_characters_on_the_middle_line() -> None:
    centres = centres_of([[0, 0], [30, 4], [30, 14], [0, 10]], transcriptions=["ab"], settings=QUAD)
    assert centres == [[7.5, 6], [22.5, 8]]


def test_the_quad_model_stacks_the_characters_of_a_tall_word() -> None:
    centres = centres_of([[0, 0], [10, 0], [10, 40], [0, 40]], settings=QUAD)
    assert sorted(centres) == [[5, 5], [5, 15], [5, 25], [5, 35]]


def test_the_quad_model_charges_a_false_positive_by_its_height_over_width() -> None:
    wide = np.array([[0, 0], [40, 0], [40, 10], [0, 10]], dtype=float)
    tall = np.array([[0, 0], [10, 0], [10, 43], [0, 43]], dtype=float)
    # 0.5 + 0.25 rounds to 1, 0.5 + 4.3 to 5, and no more than 10 are charged.
    assert false_positive_length(wide, QUAD) == 1
    assert false_positive_length(tall, QUAD) == 5
    assert false_positive_length(tall * [1, 9], QUAD) == 10
