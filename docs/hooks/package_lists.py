"""Fills the lists of pipelines, layers, files and settings in the pages, anew at every build.

A page asks for a list by a comment of its own line: ``<!-- list: pipelines -->``.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from settings_page import list_settings, write_table

from receipt_ocr.pipeline_registry import register_pipelines

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "src" / "receipt_ocr"
MARKER = re.compile(r"^<!-- list: (\w+) -->$", flags=re.MULTILINE)
STAGE = re.compile(r"^(receipt_ocr\.pipelines\.\w+)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs passes every page through here.

    Raises:
        KeyError: If a page asks for a list that there is not.
    """
    return MARKER.sub(lambda match: LISTS[match[1]](), markdown)


def list_pipelines() -> str:
    """A row a registered pipeline: its name, what its stages do, and its nodes in their order."""
    rows = [["none", "The stages below, from raw receipts to the report.", "theirs"]]
    for name, pipeline in register_pipelines().items():
        if name != "__default__":
            # The nodes without their namespaces, those of all folds once.
            nodes = dict.fromkeys(f"`{node.name.rpartition('.')[2]}`" for node in pipeline.nodes)
            rows.append([f"`{name}`", "<br>".join(_stages(pipeline)), ", ".join(nodes)])
    return write_table("wide", ["NAME", "what it does", "nodes"], rows)


def list_layers() -> str:
    """The rooms from the top down, as import-linter checks them: a row a room, a rule a layer."""
    with (PROJECT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = []
    for height, layer in zip(range(len(layers), 0, -1), layers, strict=True):
        for module in layer.split(" | "):
            name = module.removeprefix("receipt_ocr.")
            room = PACKAGE / name
            file = room / "__init__.py" if room.is_dir() else room.with_suffix(".py")
            rows.append(
                [str(height), f"`{name}{'/' if room.is_dir() else '.py'}`", _first_line(file)]
            )
    return write_table("wide", ["layer", "room", "what it is for"], rows)


def list_files() -> str:
    """Every file of the package with the first line of its documentation, room by room."""
    rooms = [PACKAGE, *sorted(f.parent for f in PACKAGE.glob("*/__init__.py"))]
    return "\n".join(line for room in rooms for line in _list_room(room))


LISTS: dict[str, Callable[[], str]] = {
    "pipelines": list_pipelines,
    "layers": list_layers,
    "files": list_files,
    "settings": list_settings,
}


def _list_room(room: Path) -> Iterator[str]:
    name = room.relative_to(PACKAGE.parent).as_posix()
    yield f"\n### {name}/\n\n{_first_line(room / '__init__.py')}\n"
    stages = [f for f in room.glob("*/__init__.py") if room.name == "pipelines"]
    files = sorted([*(f for f in room.glob("*.py") if f.name != "__init__.py"), *stages])
    rows = [[f"`{f.parent.name + '/' if f in stages else f.name}`", _first_line(f)] for f in files]
    if rows:
        yield write_table("wide", ["file", "what it holds"], rows)


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _stages(pipeline: Pipeline) -> list[str]:
    """What the packages that the nodes come from say of themselves."""
    found: dict[str, str] = {}
    for node in pipeline.nodes:
        for match in STAGE.finditer(node.func.__module__):
            found[match[1]] = (sys.modules[match[1]].__doc__ or "").partition("\n")[0]
    return list(found.values())
