"""A report as one page that needs nothing else: no network, no other file, any screen."""

import base64
import re
from collections.abc import Mapping
from html import escape
from pathlib import PurePosixPath

from markdown_it import MarkdownIt

__all__ = ["render_html"]

TYPES = {".png": "image/png", ".jpg": "image/jpeg"}

STYLE = """
:root { color-scheme: light dark; --edge: #d0d7de; --soft: #f6f8fa; --link: #0550ae; }
@media (prefers-color-scheme: dark) {
  :root { --edge: #3d444d; --soft: #1c2128; --link: #6cb6ff; }
  img { filter: brightness(.9); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem;
  font: 1rem/1.55 system-ui, "Noto Sans", "Noto Sans CJK KR", "Malgun Gothic",
  "Apple SD Gothic Neo", sans-serif; overflow-wrap: anywhere; }
:lang(ko) { word-break: keep-all; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--edge); line-height: 1.25; }
h1 + p { font-size: 1.1rem; padding: .75rem 1rem; background: var(--soft);
  border-left: .3rem solid var(--link); border-radius: .25rem; }
nav { columns: 18rem; font-size: .95rem; padding: .75rem 1rem; background: var(--soft);
  border-radius: .25rem; } nav ol { margin: 0; padding-left: 1.5rem; }
a { color: var(--link); }
.table { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--edge); border-radius: .25rem;
  box-shadow: inset -.6rem 0 .5rem -.6rem #8889; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  min-width: 100%; overflow-wrap: normal; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--edge); vertical-align: top; }
tr:last-child td { border-bottom: 0; } thead th { background: var(--soft); }
td { white-space: nowrap; } td.text { white-space: normal; min-width: min(14rem, 45vw); }
img { max-width: 100%; height: auto; border: 1px solid var(--edge); border-radius: .25rem; }
pre { overflow-x: auto; background: var(--soft); padding: .75rem 1rem; border-radius: .25rem; }
code { font-size: .9em; } p.note { font-size: .85rem; opacity: .75; font-style: italic; }
@media print { body { max-width: none; } nav { display: none; } .table { overflow: visible; } }
"""

LONG_CELL = 34
"""Characters from which on a cell is a sentence, whose lines may break."""


def render_html(markdown: str, pictures: Mapping[str, bytes], language: str, contents: str) -> str:
    """The page.

    Args:
        markdown: The report; its first line is the title.
        pictures: Path as the report has it -> the file's content (PNG or JPEG).
        language: Its code, such as ``en``.
        contents: Heading of the table of contents.

    Returns:
        One HTML document with everything in it.

    Raises:
        ValueError: If the report shows a picture that is not among them.
    """
    # Without HTML: names of files and messages of errors are text, whatever they look like.
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body, headings = _number_headings(body)
    body = re.sub(r"<p><em>((?:(?!</?em>|</p>).)*)</em></p>", r'<p class="note">\1</p>', body)
    body = re.sub(r"<table>.*?</table>", _wrap_table, body, flags=re.DOTALL)
    body = re.sub(r'src="([^"]+)"', lambda found: f'src="{_embed(found[1], pictures)}"', body)
    listed = "".join(f'<li><a href="#{key}">{text}</a></li>' for key, text in headings)
    overview = f'<nav aria-label="{escape(contents)}"><ol>{listed}</ol></nav>'
    first = body.find("<h2")
    body = body if first < 0 else body[:first] + overview + body[first:]
    title = escape(markdown.partition("\n")[0].lstrip("# "))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _number_headings(body: str) -> tuple[str, list[tuple[str, str]]]:
    """Every heading of the second level gets an id to be linked to."""
    headings: list[tuple[str, str]] = []

    def name(found: re.Match[str]) -> str:
        headings.append((f"s{len(headings) + 1}", found[1]))
        return f'<h2 id="{headings[-1][0]}">{found[1]}</h2>'

    return re.sub(r"<h2>(.*?)</h2>", name, body), headings


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
