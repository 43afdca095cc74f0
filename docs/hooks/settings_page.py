"""Lists all settings, as the settings classes and conf/ have them, for the page of that name."""

import ast
import inspect
import itertools
import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from conf_files import ABSENT, SHORT, Configuration, look_up
from kedro.validation.type_extractor import TypeExtractor
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from receipt_ocr.pipeline_registry import register_pipelines

CONF = Path(__file__).resolve().parents[2] / "conf"
BASIC = {float: "number", int: "whole number", str: "text", bool: "true or false"}
BOUNDS = {"ge": ", {} or more", "gt": " above {}", "le": ", at most {}", "lt": ", below {}"}


def list_settings() -> str:
    """A section a block, with a table of its values, in the order in which data flows."""
    conf = Configuration.read(CONF)
    classes = TypeExtractor(register_pipelines()).extract_types_from_pipelines()
    single = [key for key in conf.base if key not in classes]
    rows = [_row(key, None, type(conf.plain(key)), conf) for key in single]
    parts = ["## Single values\n", _table(rows)]
    for key in conf.base:
        if key in classes:
            parts += _section(key, classes[key], conf, level=2)
    parts.append(_list_variants(conf))
    return "\n".join(parts)


def write_table(style: str, head: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown, inside an element of the classes ``style``."""
    lines = [head, [":---"] * len(head), *rows]
    cells = [[cell.replace("|", "&#124;") for cell in line] for line in lines]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    return f'<div class="{style}" markdown>\n\n{table}\n\n</div>\n'


def _section(key: str, block: type[BaseModel], conf: Configuration, level: int) -> Iterator[str]:
    """A heading, what the block is for, a table of its values, and the blocks inside it."""
    yield f"{'#' * level} {key.replace('<', '&lt;')}\n\n{_inline(inspect.getdoc(block))}\n"
    meanings = _attribute_docs(block)
    rows, inner = [], []
    for name, field in block.model_fields.items():
        own = f"{key}.{name}"
        nested, path = _find_block(field.annotation)
        if nested is None or path:
            rows.append(_row(own, field, field.annotation, conf, meanings.get(name, "")))
        if nested is not None:
            inner.append((own + path, nested))
    if rows:
        yield _table(rows)
    for own, nested in inner:
        yield from _section(own, nested, conf, min(level + 1, 4))


def _find_block(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The settings class in a type, and how its keys go on: inside a list or under any name."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation, ""
    origin, inner = get_origin(annotation), get_args(annotation)
    for argument in inner:
        block, path = _find_block(argument)
        if block is not None:
            here = {tuple: "[]", list: "[]", dict: ".<name>"}.get(origin, "")
            return block, here + path
    return None, ""


def _row(
    key: str, field: FieldInfo | None, annotation: Any, conf: Configuration, meaning: str = ""
) -> list[str]:
    shown = "<wbr>".join(re.split(r"(?<=[.\]])(?=.)", key.replace("<", "&lt;")))
    metadata = field.metadata if field else []
    comment = conf.comments.get(key, "")
    meaning = _inline(meaning or comment[:1].upper() + comment[1:])
    name = f'<code id="{key}">{shown}</code>' if "<" not in key else f"<code>{shown}</code>"
    return [name, _describe(annotation, metadata), _default(key, field, conf), meaning]


def _table(rows: list[list[str]]) -> str:
    return write_table("wide settings", ["setting", "value", "default", "meaning"], rows)


def _describe(annotation: Any, metadata: list[Any]) -> str:
    """A type and its constraints in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        info = FieldInfo.from_annotation(annotation)
        return _describe(info.annotation, [*info.metadata, *metadata])
    if origin is Literal:
        return _either([_code(value) for value in inner])
    if origin in (Union, types.UnionType):
        kinds = [_describe(kind, metadata) for kind in inner if kind is not type(None)]
        return _either([*kinds, *(["`null`"] if type(None) in inner else [])])
    if origin in (tuple, dict):
        return _describe_many(annotation, metadata)
    return BASIC.get(annotation, "any value") + _bounds(metadata)


def _describe_many(annotation: Any, metadata: list[Any]) -> str:
    """A tuple, which YAML has as a list, or a dict."""
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        block = get_origin(inner[1]) is dict or _find_block(inner[1])[0] is not None
        return "named blocks" if block else f"names, each with a {_describe(inner[1], [])}"
    one = "blocks, see below" if _find_block(inner[0])[0] else _describe(inner[0], [])
    if inner[-1] is not Ellipsis:
        return f"list of {len(inner)}, each a {one}"
    least = next((m.min_length for m in metadata if hasattr(m, "min_length")), 0)
    return f"list{f' of {least} or more' if least else ''}: {one}"


def _bounds(metadata: list[Any]) -> str:
    limits = {name: getattr(m, name) for m in metadata for name in BOUNDS if hasattr(m, name)}
    if {"ge", "le"} <= limits.keys():
        return f" from {limits['ge']:g} to {limits['le']:g}"
    return "".join(BOUNDS[name].format(f"{limit:,g}") for name, limit in limits.items())


def _default(key: str, field: FieldInfo | None, conf: Configuration) -> str:
    """The recipe's value, those of other environments, and the command line's short name."""
    own = look_up(conf.base, key)
    parts = []
    if own is ABSENT:  # inside a list or under a free name
        parts += ["must be given" if field is None or field.is_required() else _code(_of(field))]
    elif key == "experiments.variants":
        return "[see the end](#experimentsvariants)"
    else:
        parts += [_code(conf.plain(key))]
        parts += [f"from Python: {_code(value)}" for value in _differing(key, field, conf)]
    for env, tree in conf.environments.items():
        other = look_up(tree, key)
        if other is not ABSENT:
            parts.append(f"{env}: {_code(other)}")
    if match := SHORT.fullmatch(str(own)):
        parts.append(f"short name: `{match[1]}`")
    return "<br>".join(parts)


def _differing(key: str, field: FieldInfo | None, conf: Configuration) -> Iterator[Any]:
    """The class's default where conf/base has another value (a grid may be finer there)."""
    if field is not None and not field.is_required() and _find_block(field.annotation)[0] is None:
        own = _yaml(_of(field))
        if yaml.safe_load(own) != conf.plain(key):
            yield yaml.safe_load(own)


def _of(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return value.model_dump() if isinstance(value, BaseModel) else value


def _list_variants(conf: Configuration) -> str:
    """Every named experiment of every file, with its differences as YAML."""
    lines = [
        "## experiments.variants\n\nThe named experiments and what each changes of the recipe; "
        "`kedro experiments` lists them as well.\n"
    ]
    for env, tree in {"base": conf.base, **conf.environments}.items():
        for name, changes in (look_up(tree, "experiments.variants") or {}).items():
            text = yaml.safe_dump(dict(changes), sort_keys=False, default_flow_style=None, width=70)
            text = textwrap.indent(text, "    ")
            lines.append(f'??? example "{name} (conf/{env})"\n\n    ```yaml\n{text}    ```\n')
    return "\n".join(lines)


def _yaml(value: Any) -> str:
    flat = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(flat, default_flow_style=True, sort_keys=False, width=1000)
    text = text.removesuffix("...\n").strip()
    return f"{value:.10f}".rstrip("0") if isinstance(value, float) and "e" in text else text


def _code(value: Any) -> str:
    return f"`{_yaml(value)}`"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _inline(docstring: str | None) -> str:
    """A docstring as one line of Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(docstring or ""))
    text = re.sub(r"\bNone\b", "null", text.replace("``", "`"))  # as YAML has it
    spans = text.split("`")  # every second one is code, which Markdown escapes itself
    text = "`".join(s if i % 2 else s.replace("<", "&lt;") for i, s in enumerate(spans))
    return "<br>".join(" ".join(part.split()) for part in text.split("\n\n"))


def _attribute_docs(block: type[BaseModel]) -> dict[str, str]:
    """Attribute -> the text that stands below it in the source."""
    docs: dict[str, str] = {}
    (cls,) = ast.parse(textwrap.dedent(inspect.getsource(block))).body
    assert isinstance(cls, ast.ClassDef)
    for pair in itertools.pairwise(cls.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                docs[name] = str(text)
    return docs
