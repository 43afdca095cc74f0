"""Print on the flat paper: fonts that have every character, tight boxes that never meet."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from receipt_ocr.synthesis.ink import PRINT_SCALE, draw_mark, find_font, render_word
from receipt_ocr.synthesis.layout import MARGIN, PrintedPaper, print_receipt
from receipt_ocr.synthesis.text import Cell, Mark, Row, compose_receipt, read_vocabulary

NANUM = ("NanumGothic.ttf", "NanumGothicBold.ttf", "NanumGothicExtraBold.ttf")
LIGHT = "NanumGothicLight.ttf"


def _print(rows: tuple[Row | Mark, ...], seed: int = 0, height: int = 600) -> PrintedPaper:
    paper = print_receipt(rows, np.random.default_rng(seed), (320, height), 9.0)
    assert paper is not None
    return paper


def _alphabet() -> str:
    vocabularies = [read_vocabulary("korean"), read_vocabulary("english")]
    parts = [part for vocabulary in vocabularies for _, part in vocabulary]
    phrases = [phrase for part in parts if isinstance(part, tuple) for phrase in part]
    return "".join(sorted({*"".join(phrases), *"0123456789"} - {" ", "{", "}"}))


@pytest.mark.parametrize("name", [*NANUM, LIGHT])
def test_the_fonts_have_every_character_of_the_vocabulary(name: str) -> None:
    missing = render_word("\uffff", name, 40, 1.0).ink  # the box drawn for an unknown character
    for character in _alphabet():
        assert not np.array_equal(render_word(character, name, 40, 1.0).ink, missing), character


def test_finding_a_font_imports_no_plotting() -> None:
    code = (
        "import sys; from receipt_ocr.synthesis.ink import find_font;"
        "find_font('NanumGothic.ttf'); find_font('DejaVuSansMono.ttf');"
        "sys.exit('matplotlib' in sys.modules or 'koreanize_matplotlib' in sys.modules)"
    )
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", code], env=paths, check=False).returncode == 0


def test_a_missing_font_is_named_with_its_package() -> None:
    with pytest.raises(FileNotFoundError, match=r"NanumNothing\.ttf .* koreanize_matplotlib"):
        find_font("NanumNothing.ttf")


def test_a_box_is_its_ink_and_a_margin() -> None:
    paper = _print((Row((Cell(("합계",), "left", 0.0),)),))
    rows, columns = np.nonzero(paper.ink >= 40)
    ink = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / PRINT_SCALE
    box = paper.words[0].polygon
    # Faint pixels at a stroke's rim may lie up to one print pixel outside the trimmed ink.
    np.testing.assert_allclose(
        ink - box[[0, 2]].ravel(), [MARGIN, MARGIN, -MARGIN, -MARGIN], atol=0.51
    )


def test_digits_are_as_high_as_asked() -> None:
    for seed in range(10):
        paper = _print((Row((Cell(("7,500",), "right", 1.0),)),), seed)
        height = np.ptp(paper.words[0].polygon[:, 1]) - 2 * MARGIN
        assert height >= 9


@pytest.mark.parametrize("seed", range(8))
def test_no_two_boxes_touch_and_none_leaves_the_paper(seed: int) -> None:
    rows = compose_receipt(np.random.default_rng(seed), 40, 0.5)
    paper = _print(rows, seed)
    boxes = [(*word.polygon[0], *word.polygon[2]) for word in paper.words]
    for left, top, right, bottom in boxes:
        assert 0 < left < right < paper.width
        assert 0 < top < bottom < paper.height
    for a, b in combinations(boxes, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


def test_a_long_name_takes_a_line_of_its_own() -> None:
    name = ("아메리카노", "아메리카노", "아메리카노", "아메리카노")
    row = Row((Cell(name, "left", 0.0), Cell(("4,500",), "right", 1.0)))
    paper = _print((row,))
    assert [word.transcription for word in paper.words] == [*name, "4,500"]
    assert paper.words[-1].polygon[0, 1] > paper.words[-2].polygon[2, 1]


def test_a_phrase_wider_than_the_paper_is_broken_into_lines() -> None:
    paper = _print((Row((Cell(("ABCDEFGHIJ",) * 6, "left", 0.0),)),))
    tops = {round(float(word.polygon[0, 1]), 1) for word in paper.words}
    assert len(paper.words) == 6
    assert len(tops) > 1


def test_what_does_not_fit_is_not_printed() -> None:
    rows = compose_receipt(np.random.default_rng(0), 100, 0.5)
    assert print_receipt(rows, np.random.default_rng(0), (320, 300), 9.0) is None


@pytest.mark.parametrize("kind", ["solid", "dashed", "double", "stars", "barcode", "matrix code"])
def test_a_mark_is_partly_ink(kind: str) -> None:
    ink = draw_mark(kind, (50, 200 if kind != "matrix code" else 50), np.random.default_rng(0))
    assert 0.01 < (ink > 0).mean() < 0.9


def test_marks_get_no_label() -> None:
    paper = _print((Mark("barcode"), Mark("stars"), Row((Cell(("합계",), "left", 0.0),))))
    assert [word.transcription for word in paper.words] == ["합계"]
    assert (paper.ink[: int(paper.words[0].polygon[0, 1]) * PRINT_SCALE] > 100).any()
