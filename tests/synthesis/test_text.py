"""What a receipt says: the number of words is exact, and two languages are spoken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.synthesis.text import Mark, Row, compose_receipt


def _words(rows: tuple[Row | Mark, ...]) -> list[str]:
    return [
        word for row in rows if isinstance(row, Row) for cell in row.cells for word in cell.words
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 250), st.floats(0, 1))
def test_a_receipt_has_exactly_the_words_asked_for(seed: int, count: int, share: float) -> None:
    words = _words(compose_receipt(np.random.default_rng(seed), count, share))
    assert len(words) == count
    assert not [word for word in words if not word or " " in word or "{" in word]


def test_too_few_words_for_a_receipt_are_refused() -> None:
    with pytest.raises(ValueError, match="8 words or more, got 7"):
        compose_receipt(np.random.default_rng(0), 7, 0.5)


@pytest.mark.parametrize(("share", "is_korean"), [(1.0, True), (0.0, False)])
def test_the_korean_share_decides_the_language(share: float, is_korean: bool) -> None:
    for seed in range(5):
        text = "".join(_words(compose_receipt(np.random.default_rng(seed), 40, share)))
        assert any("가" <= character <= "힣" for character in text) == is_korean


def test_rules_part_the_sections() -> None:
    rows = compose_receipt(np.random.default_rng(1), 30, 0.5)
    kinds = [row.kind for row in rows if isinstance(row, Mark)]
    assert len([kind for kind in kinds if "code" not in kind]) >= 3


def test_an_item_row_ends_in_a_price_at_the_right_edge() -> None:
    rows = compose_receipt(np.random.default_rng(1), 60, 1.0)
    last_cells = [row.cells[-1] for row in rows if isinstance(row, Row) and len(row.cells) >= 2]
    prices = [cell for cell in last_cells if cell.words[0].replace(",", "").isdigit()]
    assert len(prices) >= 5
    assert {(cell.anchor, cell.at) for cell in prices} == {("right", 1.0)}
