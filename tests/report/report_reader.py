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
    """All sentences on one line, without tables, commands, settings and pictures."""
    left_out = ("|", "```", "![", "#", "<")
    blocks = [block for _, blocks in _read_sections(markdown) for block in blocks]
    text = " ".join(block for block in blocks if not block.startswith(left_out))
    return " ".join(text.split())


def read_code(markdown: str, heading: str) -> list[str]:
    """The lines of the code below a heading, such as commands or settings."""
    blocks = dict(_read_sections(markdown))[heading]
    (block,) = [block for block in blocks if block.startswith("```")]
    return block.split("\n")[1:-1]


def read_lines(markdown: str, heading: str) -> list[str]:
    """The items of the list below a heading."""
    found = dict(_read_sections(markdown)).get(heading, [])
    return [line[2:] for block in found for line in block.split("\n") if line.startswith("- ")]


def _read_sections(markdown: str) -> list[tuple[str, list[str]]]:
    """Heading or summary -> the blocks below it."""
    markdown = re.sub(r"<details><summary>(.*)</summary>", r"## \1", markdown)
    sections = []
    for section in f"\n{markdown}".replace("\n</details>\n", "\n").split("\n## "):
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
    markdown: str

    @classmethod
    def of(cls, markdown: str) -> "Reader":
        """Everything in a report."""
        return cls(read_tables(markdown), read_prose(markdown), markdown)

    def code(self, heading: str) -> list[str]:
        """The lines of the code below a heading."""
        return read_code(self.markdown, heading)

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
