"""A report as one page that needs nothing else: no network, no other file, any screen."""

import base64
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt

TYPES = {".png": "image/png", ".jpg": "image/jpeg"}

LONG_CELL = 34
"""Characters from which on a cell is a sentence, whose lines may break."""


def render_html(markdown: str, pictures: Mapping[str, bytes], language: str) -> str:
    """Turn a report in Markdown, whose first line is the title, into one HTML document.

    Args:
        markdown: The report.
        pictures: Path as the report has it -> the file's content (PNG or JPEG).
        language: Its code, such as ``en``.

    Raises:
        ValueError: If the report shows a picture that is not among them.
    """
    # Without HTML: names of files and messages of errors are text, whatever they look like. Only
    # the lines that fold a section become tags, where they stand by themselves.
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = re.sub(
        r"<p>&lt;details&gt;&lt;summary&gt;(.*?)&lt;/summary&gt;</p>",
        r"<details><summary>\1</summary>",
        body,
    ).replace("<p>&lt;/details&gt;</p>", "</details>")
    body = re.sub(r"<p><em>((?:(?!</?em>|</p>).)*)</em></p>", r'<p class="note">\1</p>', body)
    body = re.sub(r"<table>.*?</table>", _wrap_table, body, flags=re.DOTALL)
    body = re.sub(r'src="([^"]+)"', lambda found: f'src="{_embed(found[1], pictures)}"', body)
    environment = Environment(
        loader=PackageLoader("receipt_ocr.report"), autoescape=True, keep_trailing_newline=True
    )
    title = markdown.partition("\n")[0].lstrip("# ")
    page = environment.get_template("page.html.j2")
    return page.render(language=language, title=title, body=body)


def _wrap_table(found: re.Match[str]) -> str:
    """A table scrolls inside its frame, so that the page does not on a phone."""
    table = re.sub(r"<td([^>]*)>(.*?)</td>", _mark_text, found[0], flags=re.DOTALL)
    return f'<div class="table" tabindex="0">{table}</div>'


def _mark_text(cell: re.Match[str]) -> str:
    is_text = len(re.sub(r"<[^>]+>", "", cell[2])) >= LONG_CELL and " " in cell[2]
    kind = ' class="text"' if is_text else ""
    return f"<td{kind}{cell[1]}>{cell[2]}</td>"


def _embed(path: str, pictures: Mapping[str, bytes]) -> str:
    if path not in pictures:
        raise ValueError(f"the report shows {path}, which is not among {', '.join(pictures)}")
    kind = TYPES.get(PurePosixPath(path).suffix)
    if kind is None:
        raise ValueError(f"pictures of a report must end in {' or '.join(TYPES)}, got {path}")
    return f"data:{kind};base64,{base64.b64encode(pictures[path]).decode()}"
