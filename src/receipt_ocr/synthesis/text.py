"""Compose what a receipt says, row by row; the phrases are in ``vocabulary.json``."""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import zip_longest
from typing import Literal

import numpy as np

from receipt_ocr.config import Config, PositiveInt

Anchor = Literal["left", "center", "right"]


@dataclass(frozen=True)
class Cell:
    """Words side by side; their ``anchor`` lies at the share ``at`` of the text's width."""

    words: tuple[str, ...]
    anchor: Anchor
    at: float


@dataclass(frozen=True)
class Row:
    """One printed line; ``size`` is relative to the receipt's body text."""

    cells: tuple[Cell, ...]
    size: float = 1.0
    is_bold: bool = False


@dataclass(frozen=True)
class Mark:
    """A rule or a code: ink that is no word and gets no label."""

    kind: Literal["solid", "dashed", "double", "stars", "barcode", "matrix code"]


class Vocabulary(Config):
    """The phrases of one language; spaces separate words.

    In a phrase, ``{v}`` stands for a price and ``{4}`` for four random digits.
    """

    shops: tuple[str, ...]
    details: tuple[str, ...]
    columns: tuple[str, ...]
    items: tuple[str, ...]
    sums: tuple[str, ...]
    total: tuple[str, ...]
    closings: tuple[str, ...]
    unit: PositiveInt
    """Prices are multiples of this; 1 stands for cents, printed with two decimals."""


_RULES = (Mark("solid"), Mark("dashed"), Mark("double"), Mark("stars"))


@lru_cache
def read_vocabulary(language: Literal["korean", "english"]) -> Vocabulary:
    """Read the phrases of a language."""
    file = resources.files("receipt_ocr.synthesis") / "vocabulary.json"
    return Vocabulary.model_validate(json.loads(file.read_text(encoding="utf-8"))[language])


def compose_receipt(
    rng: np.random.Generator, word_count: int, korean_share: float
) -> tuple[Row | Mark, ...]:
    """Compose a receipt of exactly ``word_count`` words from top to bottom.

    Raises:
        ValueError: If ``word_count`` is under 8.
    """
    if word_count < 8:
        raise ValueError(f"a receipt has 8 words or more, got {word_count}")
    vocabulary = read_vocabulary("korean" if rng.random() < korean_share else "english")
    return _Composer(rng, vocabulary).compose(word_count)


class _Composer:
    """Spends a budget of words on the sections of a receipt.

    A page depends on the order in which random numbers are drawn: keep it.
    """

    def __init__(self, rng: np.random.Generator, vocabulary: Vocabulary) -> None:
        self.rng = rng
        self.vocabulary = vocabulary
        self.budget = 0

    def compose(self, word_count: int) -> tuple[Row | Mark, ...]:
        rng = self.rng
        self.budget = word_count
        title = self._compose_title()
        total = self._compose_total()
        # Header, sums and closing get a share each; the items take all that is left.
        header = self._compose_details(int(self.budget * rng.uniform(0.2, 0.4)))
        sums = self._compose_sums(int(self.budget * rng.uniform(0.2, 0.35)))
        closing = self._compose_closing(int(self.budget * rng.uniform(0.0, 0.35)))
        items = self._compose_items()
        first, second = (_RULES[int(index)] for index in rng.integers(len(_RULES), size=2))
        rows = [title, *header, first, *items, second, *sums, total, first, *closing]
        if rng.random() < 0.6:
            code = Mark("barcode" if rng.random() < 0.75 else "matrix code")
            rows.insert(len(rows) if rng.random() < 0.8 else 1, code)
        return tuple(rows)

    def _compose_title(self) -> Row:
        words = tuple(self._pick(self.vocabulary.shops).split())
        self.budget -= len(words)
        return Row((Cell(words, "center", 0.5),), size=self.rng.uniform(1.4, 2.0), is_bold=True)

    def _compose_total(self) -> Row:
        name, amount = self._pick(self.vocabulary.total), self._price(3000)
        self.budget -= 2
        cells = (Cell((name,), "left", 0.0), Cell((amount,), "right", 1.0))
        return Row(cells, size=self.rng.uniform(1.1, 1.5), is_bold=True)

    def _compose_details(self, limit: int) -> list[Row | Mark]:
        phrases = self._take(self.vocabulary.details, limit)
        style = self.rng.choice(["left", "center", "pairs"])
        if style == "center":
            return [Row((Cell(words, "center", 0.5),)) for words in phrases]
        lefts = [Cell(words, "left", 0.0) for words in phrases]
        if style == "left":
            return [Row((cell,)) for cell in lefts]
        rights = [Cell(words, "right", 1.0) for words in phrases[1::2]]
        pairs = zip_longest(lefts[::2], rights)
        return [Row(tuple(cell for cell in pair if cell)) for pair in pairs]

    def _compose_sums(self, limit: int) -> list[Row | Mark]:
        rows: list[Row | Mark] = []
        for words in self._take(self.vocabulary.sums, limit):
            name, value = words[:-1], words[-1:]
            rows.append(Row((Cell(name, "left", 0.0), Cell(value, "right", 1.0))))
        return rows

    def _compose_closing(self, limit: int) -> list[Row | Mark]:
        phrases = self._take(self.vocabulary.closings, limit)
        return [Row((Cell(words, "center", 0.5),)) for words in phrases]

    def _compose_items(self) -> list[Row | Mark]:
        rng = self.rng
        # One number an item (the last style) would make a long receipt a ribbon.
        style = int(rng.integers(3 if self.budget < 20 else 2))
        shares = ((0.53, 0.65, 1.0), (0.7, 1.0), (1.0,))[style]
        names = {3: (0, 1, 2, 3), 2: (0, 2, 3), 1: (0, 3)}[len(shares)]
        rows: list[Row | Mark] = []
        if self.budget >= 3 * (len(shares) + 1) and rng.random() < 0.7:
            heads = [self.vocabulary.columns[index] for index in names]
            rows += [self._item_row((heads[0],), heads[1:], shares), Mark("dashed")]
        while self.budget > len(shares):
            # Cut the name so that the budget still covers the item's numbers.
            name = self._fill(self._pick(self.vocabulary.items)).split()
            name = name[: max(1, self.budget - len(shares))]
            count = int(rng.integers(1, 6))
            numbers = [self._price(250), str(count), self._price(900)][3 - len(shares) :]
            rows.append(self._item_row(tuple(name), numbers, shares))
        if self.budget:  # one to three words are left: item codes, as many tills print them
            codes = tuple(self._fill("{3}{3}{2}") for _ in range(self.budget))
            self.budget = 0
            rows.append(Row((Cell(codes, "left", 0.03),)))
        return rows

    def _item_row(
        self, name: tuple[str, ...], numbers: list[str], shares: tuple[float, ...]
    ) -> Row:
        self.budget -= len(name) + len(numbers)
        columns = (Cell((number,), "right", at) for number, at in zip(numbers, shares, strict=True))
        return Row((Cell(name, "left", 0.0), *columns))

    def _take(self, phrases: tuple[str, ...], limit: int) -> list[tuple[str, ...]]:
        """Pick different phrases in random order, of at most ``limit`` words together."""
        taken = []
        for index in self.rng.permutation(len(phrases)):
            words = tuple(self._fill(phrases[index]).split())
            if len(words) <= limit:
                limit -= len(words)
                self.budget -= len(words)
                taken.append(words)
        return taken

    def _pick(self, phrases: tuple[str, ...]) -> str:
        return phrases[int(self.rng.integers(len(phrases)))]

    def _price(self, highest: int) -> str:
        units = int(self.rng.integers(5, highest))
        if self.vocabulary.unit == 1:
            return f"{units / 20:.2f}"
        return f"{units * self.vocabulary.unit:,}"

    def _fill(self, phrase: str) -> str:
        """Fill in ``{v}`` by a price, and ``{n}`` by n random digits."""
        filled = phrase.replace("{v}", self._price(900))
        for length in range(1, 9):
            while (slot := f"{{{length}}}") in filled:
                digits = "".join(str(digit) for digit in self.rng.integers(1, 10, length))
                filled = filled.replace(slot, digits, 1)
        return filled
