"""Reads a report's Markdown, and keeps account of what a test has compared of it."""

import re
from dataclasses import dataclass

Table = list[list[str]]
"""Rows of cells; the first one is the header."""

NUMBER = re.compile(r"\d+\.\d+")


def read_tables(markdown: str) -> dict[str, list[Table]]:
    """Heading -> the tables below it, in their order."""
    found: dict[str, list[Table]] = {}
    for heading, blocks in _read_sections(markdown):
        tables = [_read_table(block) for block in blocks if block.startswith("|")]
        if tables:
            found[heading] = tables
    return found


def read_prose(markdown: str) -> str:
    """All sentences on one line, without tables, commands and pictures."""
    left_out = ("|", "```", "![", "#")
    blocks = [block for _, blocks in _read_sections(markdown) for block in blocks]
    return " ".join(block for block in blocks if not block.startswith(left_out))


def read_commands(markdown: str) -> list[str]:
    """The lines of the section on how to repeat it."""
    blocks = dict(_read_sections(markdown))["How to repeat it"]
    (block,) = [block for block in blocks if block.startswith("```bash")]
    return block.split("\n")[1:-1]


def _read_sections(markdown: str) -> list[tuple[str, list[str]]]:
    sections = []
    for section in f"\n{markdown}".split("\n## "):
        heading, _, body = section.partition("\n")
        sections.append((heading, [block.strip() for block in body.split("\n\n")]))
    return sections


def _read_table(block: str) -> Table:
    rows = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in block.split("\n")]
    return [rows[0], *rows[2:]]


@dataclass
class Reader:
    """What of a report has not been compared yet."""

    tables: dict[str, list[Table]]
    prose: str

    @classmethod
    def of(cls, markdown: str) -> "Reader":
        """Everything in a report."""
        return cls(read_tables(markdown), read_prose(markdown))

    def compare(self, heading: str, expected: Table) -> None:
        """Compare the next table below a heading, cell by cell, and strike it out."""
        assert self.tables.get(heading), f"no further table below {heading!r}"
        assert self.tables[heading].pop(0) == expected, heading

    def strike(self, sentence: str) -> None:
        """Strike a sentence out that must be there."""
        assert sentence in self.prose, f"not in the report: {sentence}\n{self.prose}"
        self.prose = self.prose.replace(sentence, "", 1)

    def list_left(self) -> list[str]:
        """Tables that nobody compared, and sentences with numbers that nobody struck out."""
        tables = [heading for heading, tables in self.tables.items() for _ in tables]
        numbers = NUMBER.finditer(self.prose)
        return tables + [self.prose[max(0, n.start() - 60) : n.end() + 20] for n in numbers]
