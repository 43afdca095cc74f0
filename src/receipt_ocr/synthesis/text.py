"""What a synthetic receipt says: its words, row by row, without any measure in pixels."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

import numpy as np

__all__ = ["ENGLISH", "KOREAN", "Cell", "Mark", "Row", "Vocabulary", "compose_receipt"]

Anchor = Literal["left", "center", "right"]


@dataclass(frozen=True)
class Cell:
    """Words side by side, held by ``anchor`` at the share ``at`` of the text's width."""

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
    """Ink that is no word and gets no label."""

    kind: Literal["solid", "dashed", "double", "stars", "barcode", "matrix code"]


@dataclass(frozen=True)
class Vocabulary:
    """The phrases of one language; spaces separate words."""

    shops: tuple[str, ...]
    details: tuple[str, ...]
    columns: tuple[str, ...]
    items: tuple[str, ...]
    sums: tuple[str, ...]
    total: tuple[str, ...]
    closings: tuple[str, ...]
    unit: int
    """Prices are multiples of this; 1 stands for cents, printed with two decimals."""


KOREAN = Vocabulary(
    shops=(
        "행복마트 서초점", "우리분식", "커피나무 3호점", "한솔문구", "푸른약국", "동네빵집",
        "바다횟집", "서울정육점 본점", "NEW마트 강남점", "미소김밥", "달빛서점", "초록과일 가게",
    ),
    details=(
        "서울시 강남구 역삼로 123", "부산시 해운대구 중동 45-6", "경기도 성남시 분당구 판교로 27",
        "사업자번호: {3}-{2}-{5}", "TEL: 02-{3}-{4}", "전화 031-{3}-{4}", "대표자: 김영희",
        "2023-0{1}-1{1} 1{1}:2{1}", "[판매일] 2022/0{1}/1{1} 09:4{1}", "계산원: 박민수 POS-0{1}",
        "거래번호 {4}-{6}", "교환/환불 7일 이내", "영수증 미지참시 교환불가", "테이블 1{1} 인원 3",
    ),
    columns=("상품명", "단가", "수량", "금액"),
    items=(
        "아메리카노", "카페라떼 (L)", "신라면 5입", "서울우유 1L", "삼겹살", "배추김치", "참치김밥",
        "돈까스 정식", "비빔냉면", "콜라 500ml", "생수 2L", "계란 30구", "두부", "바나나", "사과",
        "칫솔 세트", "물티슈 100매", "초코파이", "감자칩", "식빵", "A4용지 80g", "볼펜 0.5mm",
        "된장찌개", "공기밥", "소주", "맥주 500cc", "김치만두", "떡볶이 중", "종이컵", "봉투",
    ),
    sums=("과세물품 {v}", "부가세 {v}", "면세물품가액 {v}", "소계 {v}", "할인금액 -{v}",
          "받은금액 {v}", "거스름돈 {v}", "신용카드 {v}", "승인번호: {8}", "카드번호 {4}-****-{4}",
          "포인트적립 {2}P"),
    total=("합계", "합계금액", "결제금액", "총액"),
    closings=("감사합니다", "안녕히 가세요", "이용해 주셔서 감사합니다", "고객센터 1588-{4}",
              "무료 주차 1시간", "현금영수증 소득공제", "www.shop{2}.co.kr", "THANK YOU"),
    unit=100,
)  # fmt: skip

ENGLISH = Vocabulary(
    shops=(
        "CITY MART", "Daily Grind Coffee", "GREEN GROCER", "Harbour Books", "STATIONERY HOUSE",
        "Blue Door Bakery", "QUICK STOP", "Noodle Corner", "SUNRISE PHARMACY", "Hardware & More",
    ),
    details=(
        "12 Station Road", "Unit 4, Market Square", "Springfield 4{4}", "Tel: 03-{4} {4}",
        "GST No: {6}{3}", "Date: 1{1}/0{1}/2022", "0{1}-03-2023 1{1}:3{1}:0{1}", "Cashier: Maria",
        "Invoice #{6}", "Table 1{1} Guests 2", "Reg: 0{1} Trans: {4}", "TAX INVOICE",
    ),
    columns=("Item", "Price", "Qty", "Amt"),
    items=(
        "Latte", "Flat White", "Bagel", "Whole Milk 1L", "EGGS 12PK", "BREAD", "Apples kg",
        "Fried Rice", "Iced Tea", "Notebook A5", "PEN BLUE", "USB Cable", "Soap", "Shampoo 400ml",
        "Tomato", "Pasta 500g", "Olive Oil", "Cheese", "Muffin", "Chicken Wrap", "Mineral Water",
        "Batteries AA", "PAPER CUP", "Screws M4", "Vitamin C", "Noodles", "Butter", "Orange",
    ),
    sums=("Subtotal {v}", "GST 6% {v}", "Discount -{v}", "Cash {v}", "Change {v}", "VISA {v}",
          "Rounding 0.0{1}", "Items sold: {1}", "Approval: {6}", "Card ****{4}", "Points {3}"),
    total=("TOTAL", "Total", "AMOUNT", "Payable"),
    closings=("THANK YOU", "Please come again", "Goods sold are not returnable", "Welcome",
              "www.store{2}.com", "Customer Copy", "Have a nice day!", "Hotline 1800-{4}"),
    unit=1,
)  # fmt: skip


_RULES = (Mark("solid"), Mark("dashed"), Mark("double"), Mark("stars"))


def compose_receipt(
    rng: np.random.Generator, word_count: int, korean_share: float
) -> tuple[Row | Mark, ...]:
    """Everything on one receipt, from top to bottom.

    Args:
        rng: The page's own generator.
        word_count: Number of words over all rows, exactly; 8 or more.
        korean_share: Chance that the receipt is in Korean.

    Raises:
        ValueError: If ``word_count`` is under 8.
    """
    if word_count < 8:
        raise ValueError(f"a receipt has 8 words or more, got {word_count}")
    vocabulary = KOREAN if rng.random() < korean_share else ENGLISH
    return _Composer(rng, vocabulary).compose(word_count)


class _Composer:
    """Spends a budget of words on the sections of a receipt."""

    def __init__(self, rng: np.random.Generator, vocabulary: Vocabulary) -> None:
        self.rng = rng
        self.vocabulary = vocabulary
        self.budget = 0

    def compose(self, word_count: int) -> tuple[Row | Mark, ...]:
        rng = self.rng
        self.budget = word_count
        title = self._compose_title()
        total = self._compose_total()
        # The first share is the header's, the second the sums'; items take all that is left.
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
        words = self._spend(self._pick(self.vocabulary.shops))
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
        # A long receipt with one number an item would be a ribbon.
        style = int(rng.integers(3 if self.budget < 20 else 2))
        shares = ((0.53, 0.65, 1.0), (0.7, 1.0), (1.0,))[style]
        names = {3: (0, 1, 2, 3), 2: (0, 2, 3), 1: (0, 3)}[len(shares)]
        rows: list[Row | Mark] = []
        if self.budget >= 3 * (len(shares) + 1) and rng.random() < 0.7:
            heads = [self.vocabulary.columns[index] for index in names]
            rows += [self._item_row((heads[0],), heads[1:], shares), Mark("dashed")]
        while self.budget > len(shares):
            # A name must not leave a rest that no further item and no code number can use.
            name = self._fill(self._pick(self.vocabulary.items)).split()
            name = name[: max(1, self.budget - len(shares))]
            count = int(rng.integers(1, 6))
            numbers = [self._price(250), str(count), self._price(900)][3 - len(shares) :]
            rows.append(self._item_row(tuple(name), numbers, shares))
        if self.budget:  # one to three words are left: an item code, as many tills print it
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
        """Different phrases in random order, of at most ``limit`` words together."""
        taken = []
        for index in self.rng.permutation(len(phrases)):
            words = tuple(self._fill(phrases[index]).split())
            if len(words) <= limit:
                limit -= len(words)
                self.budget -= len(words)
                taken.append(words)
        return taken

    def _spend(self, phrase: str) -> tuple[str, ...]:
        words = tuple(phrase.split())
        self.budget -= len(words)
        return words

    def _pick(self, phrases: tuple[str, ...]) -> str:
        return phrases[int(self.rng.integers(len(phrases)))]

    def _price(self, highest: int) -> str:
        units = int(self.rng.integers(5, highest))
        if self.vocabulary.unit == 1:
            return f"{units / 20:.2f}"
        return f"{units * self.vocabulary.unit:,}"

    def _fill(self, phrase: str) -> str:
        """The phrase with ``{v}`` as a price and ``{n}`` as n random digits."""
        filled = phrase.replace("{v}", self._price(900))
        for length in range(1, 9):
            while (slot := f"{{{length}}}") in filled:
                digits = "".join(str(digit) for digit in self.rng.integers(1, 10, length))
                filled = filled.replace(slot, digits, 1)
        return filled
