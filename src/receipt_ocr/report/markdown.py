"""Numbers and tables as Markdown text."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from receipt_ocr.report.language import say

__all__ = [
    "NOTHING",
    "format_count",
    "format_score",
    "format_signed",
    "format_table",
    "join_words",
    "name_sources",
    "rows_of",
]

NOTHING = "–"  # noqa: RUF001  # stands where there is no number


def format_score(value: Any) -> str:
    """Four digits; a dash for NaN."""
    return NOTHING if math.isnan(value) else f"{value:.4f}"


def format_signed(value: Any) -> str:
    """Four digits and a sign; a dash for NaN, no sign for what rounds to zero."""
    if math.isnan(value):
        return NOTHING
    return "0.0000" if round(value, 4) == 0 else f"{value:+.4f}"


def format_count(value: Any) -> str:
    """A whole number, one decimal for a mean of whole numbers; a dash for NaN."""
    if math.isnan(value):
        return NOTHING
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def format_table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """A Markdown table.

    Args:
        header: Titles of the columns.
        rows: Cells, one a title; a vertical bar in a cell is escaped.
        left: How many of the first columns are aligned to the left, the others to the right.
    """
    rules = [":---" if column < left else "---:" for column in range(len(header))]
    lines = [header, rules, *rows]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)


def join_words(words: Sequence[str]) -> str:
    """``a, b and c``."""
    *most, last = words
    return say("{most} and {last}", most=", ".join(most), last=last) if most else last


def _escape(cell: Any) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


def name_sources(*entries: str) -> str:
    """The line below a table that says where its numbers come from."""
    named = ", ".join(f"`{entry}`" for entry in entries)
    return say("*Source: {entries}.*", entries=named)


def rows_of(table: pd.DataFrame) -> Iterator[Any]:
    """Rows of a table with its columns as attributes."""
    yield from table.itertuples()
