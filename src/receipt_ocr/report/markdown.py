"""Filters of the report's templates: numbers, lists and tables as Markdown text."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

NOTHING = "–"  # noqa: RUF001  # stands where there is no number


def format_number(value: float | None, form: str, divisor: float = 1.0) -> str:
    """A number as ``%`` formats it; a dash for None and NaN."""
    return NOTHING if value is None or math.isnan(value) else form % (value / divisor)


def format_score(value: float | None) -> str:
    """Four digits."""
    return format_number(value, "%.4f")


def format_signed(value: float | None) -> str:
    """Four digits and a sign; no sign for what rounds to zero."""
    text = format_number(value, "%+.4f")
    return "0.0000" if text in {"+0.0000", "-0.0000"} else text


def format_count(value: float) -> str:
    """A whole number; one decimal for a mean of whole numbers."""
    return format_number(value, "%.0f" if float(value).is_integer() else "%.1f")


def list_words(words: Sequence[object], last: str) -> str:
    """``a, b and c``, where ``last`` is `` and ``."""
    *most, end = map(str, words)
    return f"{', '.join(most)}{last}{end}" if most else end


def escape_cell(text: object) -> str:
    """A text that can neither end its cell nor its line."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def keep_ends(items: Sequence[Any], most: int) -> list[Any]:
    """All of them; of more than ``most`` the first and last ones with None between."""
    half = most // 2
    return list(items) if len(items) <= most else [*items[:half], None, *items[-half:]]


def tidy_table(text: str, left: int = 1) -> str:
    """Turn lines such as ``| a | b |`` into a table without rows and columns of mere dashes.

    The header comes first; a bar in a cell is escaped.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    header, *rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    empty = {NOTHING, ""}
    rows = [row for row in rows if len(row) == 1 or not set(row[1:]) <= {NOTHING}]
    kept = [0, *(i for i in range(1, len(header)) if not {row[i] for row in rows} <= empty)]
    cells = [[row[i] for i in kept] for row in rows]
    # Where a column of those to the left is gone, so is its place.
    return format_table([header[i] for i in kept], cells, sum(i < left for i in kept)) + "\n"


def format_table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """A Markdown table with the first ``left`` columns aligned to the left, the others right."""
    rules = [":---" if column < left else "---:" for column in range(len(header))]
    lines = [header, rules, *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


FILTERS = {
    "cell": escape_cell,
    "code": lambda names: [f"`{name}`" for name in names],
    "count": format_count,
    "ends": keep_ends,
    "listed": list_words,
    "number": format_number,
    "percent": lambda share, digits=0: f"{share:.{digits}%}",
    "plain": "{:g}".format,
    "score": format_score,
    "signed": format_signed,
    "table": tidy_table,
}
"""Name in the templates -> filter."""
