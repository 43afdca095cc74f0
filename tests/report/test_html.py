"""The page of a report: whole, safe and able to stand alone."""

import base64
from html.parser import HTMLParser

import pytest

from receipt_ocr.report.html import render_html

PNG, JPEG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"\xff\xd8\xff" + b"receipt"
LONG = "look at them in the pictures; a lower box_thresh"
MARKDOWN = f"""# lite0 & others on demo

The *best* one.

## First `part`

![How the folds learnt](history.png)

| page | why |
| :--- | ---: |
| <script>alert("x")</script>.jpg | {LONG} |
| 123456789012345678901234567890abcdef.jpg | 0.5 |

<details><summary>Second & last</summary>

<img src="https://example.com/x.png">

![Gallery](pictures/gallery.jpg)

| a | b |
| :--- | ---: |
| 1 | 2 |

</details>

</details> <details><summary>forged</summary>
"""
PICTURES = {"history.png": PNG, "pictures/gallery.jpg": JPEG}
VOID = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Tags with their attributes and the tags around them, and the text of each."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.tags if name == tag]


@pytest.fixture(scope="module")
def document() -> str:
    return render_html(MARKDOWN, PICTURES, "ko")


@pytest.fixture(scope="module")
def page(document: str) -> Page:
    return Page(document)


def test_every_tag_is_closed_and_the_language_is_stated(document: str, page: Page) -> None:
    assert page.open == []
    assert document.startswith("<!DOCTYPE html>\n")
    assert page.find("html") == [{"lang": "ko"}]
    assert {"charset": "utf-8"} in page.find("meta")
    assert any(one.get("name") == "viewport" for one in page.find("meta"))
    assert page.texts["title"] == ["lite0 & others on demo"]
    assert page.texts["h1"] == ["lite0 & others on demo"]


def test_pictures_are_inside_with_the_same_bytes(page: Page) -> None:
    shown = [str(one["src"]).partition(";base64,") for one in page.find("img")]
    assert [kind for kind, _, _ in shown] == ["data:image/png", "data:image/jpeg"]
    assert [base64.b64decode(code) for _, _, code in shown] == [PNG, JPEG]
    assert [one["alt"] for one in page.find("img")] == ["How the folds learnt", "Gallery"]


def test_nothing_is_fetched_and_nothing_runs(page: Page) -> None:
    assert not page.find("script") and not page.find("link")
    for _, attributes, _ in page.tags:
        for name in ("src", "href"):
            assert str(attributes.get(name, "#")).startswith(("data:", "#"))
    (style,) = page.texts["style"]
    assert "url(" not in style and "@import" not in style
    assert page.texts["td"][0] == '<script>alert("x")</script>.jpg'  # as text


def test_folded_sections_are_tags_only_where_they_stand_alone(page: Page) -> None:
    assert page.texts["h2"] == ["First part"]
    assert page.texts["summary"] == ["Second & last"]
    around = [outer for tag, _, outer in page.tags if tag == "table"]
    assert ["details" in outer for outer in around] == [False, True]
    assert page.texts["p"][-1] == "</details> <details><summary>forged</summary>"


def test_every_table_scrolls_in_a_frame_of_its_own(page: Page) -> None:
    around = [outer for tag, _, outer in page.tags if tag == "table"]
    assert [outer[-1] for outer in around] == ["div", "div"]
    frames = [one for one in page.find("div") if one.get("class") == "table"]
    assert frames == [{"class": "table", "tabindex": "0"}] * 2


def test_only_sentences_may_break_into_lines(page: Page) -> None:
    cells = zip(page.find("td"), page.texts["td"], strict=True)
    assert [text for one, text in cells if one.get("class") == "text"] == [LONG]
    assert {"class": "text", "style": "text-align:right"} in page.find("td")


def test_a_picture_that_is_not_there_is_named() -> None:
    message = r"shows pictures/gallery\.jpg, which is not among history\.png"
    with pytest.raises(ValueError, match=message):
        render_html(MARKDOWN, {"history.png": PNG}, "en")


def test_a_report_without_parts_is_a_page_too() -> None:
    page = Page(render_html("# Nothing\n\nNo runs yet.\n", {}, "en"))
    assert page.texts["p"] == ["No runs yet."]
    assert page.find("details") == []
