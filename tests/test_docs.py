"""The documentation site: it builds, it works without a network, and what it names exists."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from receipt_ocr.pipeline_registry import register_pipelines

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
PAGES = [*DOCS.glob("*.md"), PROJECT / "README.md"]
ASSETS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
FREE_NAMES = ("experiments.variants.", "test_time.variants.")
"""Below these, the user chooses the names."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The built site; a warning while building is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        from mkdocs.commands.build import build
        from mkdocs.config import load_config

        folder = tmp_path_factory.mktemp("site")
        config = load_config(str(PROJECT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
        config.plugins.on_shutdown()
        yield folder


class Elements(HTMLParser):
    """The start tags of a page with their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def list_keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every dotted key, and whether it is a block."""
    for key, value in tree.items():
        yield prefix + key, isinstance(value, Mapping)
        if isinstance(value, Mapping):
            yield from list_keys(value, f"{prefix}{key}.")


def plain_text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


def code_of(page: Path) -> list[str]:
    """The lines of a page's code blocks, and its code spans."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    outside = re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + [
        " ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)
    ]


def test_every_page_of_the_navigation_is_built(site: Path) -> None:
    nav = yaml.load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.SafeLoader)["nav"]
    names = [name for entry in nav for name in entry.values()]
    assert {Path(name).stem for name in names} == {
        file.stem for file in site.glob("*.html") if file.stem != "404"
    }
    assert not list(site.rglob("*.py"))


def test_no_page_asks_the_network_for_anything(site: Path) -> None:
    asked = [
        (page.name, element, attributes[ASSETS[element]])
        for page in site.glob("*.html")
        for element, attributes in Elements(page).found
        if element in ASSETS and re.match(r"(https?:)?//", attributes.get(ASSETS[element]) or "")
    ]
    assert not asked
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text("utf-8"))
    assert (site / "search" / "search_index.js").stat().st_size > 10_000


def test_the_settings_page_has_every_key(site: Path) -> None:
    files = (PROJECT / "conf" / "base").glob("parameters*.yml")
    blocks = [yaml.safe_load(file.read_text("utf-8")) for file in files]
    page = site / "settings.html"
    places = {attributes.get("id") for _, attributes in Elements(page).found}
    text = plain_text(page.read_text(encoding="utf-8"))
    for key, is_block in (pair for block in blocks for pair in list_keys(block)):
        if key.startswith(FREE_NAMES):
            assert key.rpartition(".")[2] in text, key
        elif is_block and key not in {"ensemble.sets", "test_time.variants"}:
            assert key.replace(".", "") in places or key in places, key
        else:
            assert key in places, key


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("tuning.box_thresh", "list of 1 or more: number from 0 to 1 [0.25, 0.4, 0.5, 0.6, 0.7]"),
        ("ensemble.members", "text, whole number or list: text or whole number all short name"),
        ("ingestion.unrotated_polygons", "reject or rotate reject"),
        ("experiments.recipe.frame.crop", "list of 2, each a whole number above 0 or null null"),
        ("experiments.recipe.frame.shape", "square or page square demo: page sroie: page"),
        ("experiments.recipe.training.ema_decay", "number, 0 or more, below 1 0.0 Validate"),
        ("experiments.recipe.training.final_learning_rate", "number, 0 or more 0.000008"),
        ("experiments.recipe.augmentation.perspective", "number from 0 to 0.15 0.0 Each corner"),
    ],
)
def test_a_row_says_type_range_default_and_meaning(site: Path, key: str, row: str) -> None:
    page = (site / "settings.html").read_text(encoding="utf-8")
    (cells,) = re.findall(rf'<code id="{re.escape(key)}">(.*?)</tr>', page, flags=re.DOTALL)
    cells = cells.replace("<br", " <br").replace("</td>", " </td>")
    assert plain_text(cells).startswith(f"{key} {row}")


def test_the_architecture_page_lists_every_pipeline_and_file(site: Path) -> None:
    text = plain_text((site / "architecture.html").read_text(encoding="utf-8"))
    package = PROJECT / "src" / "receipt_ocr"
    files = {f.name for f in package.rglob("*.py") if "pipelines" not in f.parts}
    stages = {f"{f.parent.name}/" for f in package.glob("pipelines/*/nodes.py")}
    names = (files - {"__init__.py"}) | stages | (register_pipelines().keys() - {"__default__"})
    assert not [name for name in names if name not in text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_of_a_page_exists(page: Path) -> None:
    from receipt_ocr.cli import cli

    code = code_of(page)
    known = {*register_pipelines(), "NAME"}
    assert {n for line in code for n in re.findall(r"--pipeline=(\w+)", line)} <= known
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    assert {n for line in code for n in re.findall(r"^make ([a-z]+)", line)} <= targets
    for line in code:
        match = re.match(r"kedro ([a-z-]+)( .*|)", line.partition("#")[0])
        if match and match[1] not in {"viz", "mlflow"}:
            assert match[1] in cli.commands, line
            text = CliRunner().invoke(cli, [match[1], "--help"]).output
            options = re.findall(r"(?<=\s)--[a-z-]+", match[2])
            assert not [option for option in options if option not in text], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    files = r"\b((?:src|tests|conf|benchmarks)/[\w/]+\.(?:py|yml))"
    named = re.findall(files, page.read_text(encoding="utf-8"))
    assert not [name for name in named if not (PROJECT / name).is_file()]
