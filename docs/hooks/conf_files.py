"""Values and comments of the YAML files below conf/, and each environment's differences."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

Tree = Mapping[str, Any]

ENVIRONMENTS = ("demo", "sroie")

ORDER = (
    *("synthesis", "ingestion", "splitting", "training", "experiments", "test_time", "samples"),
    *("tuning", "ensemble", "reporting", "leaderboard", "final_fit", "detection"),
)
"""Parameter files of conf/base, as the page lists them: the order in which data flows."""

ABSENT = object()
"""Returned by `look_up` for a key that is not there."""

SHORT = re.compile(r"\$\{runtime_params:(\w+),(.*)\}")
"""A value that a run may replace by a short name on the command line."""

GLOBAL = re.compile(r"\$\{globals:(\w+)\}")


@dataclass(frozen=True)
class Configuration:
    """What the YAML files say: base's values and comments, and every environment's differences."""

    base: Tree
    comments: Mapping[str, str]
    environments: Mapping[str, Tree]
    global_values: Tree

    @classmethod
    def read(cls, folder: Path) -> "Configuration":
        """Read the parameters and globals below a ``conf`` folder.

        Raises:
            ValueError: If conf/base has parameter files that ``ORDER`` lacks.
        """
        base = [folder / "base" / f"parameters_{name}.yml" for name in ORDER]
        if unknown := set((folder / "base").glob("parameters*")) - set(base):
            raise ValueError(f"ORDER in {__file__} lacks {', '.join(map(str, unknown))}")
        comments: dict[str, str] = {}
        for file in base:
            comments |= _read_comments(file.read_text(encoding="utf-8"))
        return cls(
            _load(*base),
            comments,
            {env: _load(folder / env / "parameters.yml") for env in ENVIRONMENTS},
            _load(folder / "base" / "globals.yml"),
        )

    def plain(self, key: str) -> Any:
        """The value in conf/base, without what a run may put in its place."""
        value = look_up(self.base, key)
        if not isinstance(value, str):
            return value
        if match := SHORT.fullmatch(value):
            value = match[2]
        if match := GLOBAL.fullmatch(value):
            value = self.global_values[match[1]]
        return yaml.safe_load(str(value))


def look_up(tree: Any, key: str) -> Any:
    """The value at a dotted key of nested mappings; `ABSENT` where there is none."""
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return ABSENT
        tree = tree[part]
    return tree


def _load(*files: Path) -> Tree:
    """The files as one, as Kedro merges them; what a run fills in stays as it is written."""
    merged = OmegaConf.unsafe_merge(*map(OmegaConf.load, files))
    tree: Tree = OmegaConf.to_container(merged, resolve=False)  # type: ignore[assignment]
    return tree


def _read_comments(text: str) -> dict[str, str]:
    """Dotted key -> the comment behind its line, or above it where it starts the line."""
    lines = text.splitlines()
    comments: dict[str, str] = {}

    def visit(node: yaml.Node, prefix: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            line = key.start_mark.line
            if match := re.search(r" # *(.+)$", lines[line]):
                comments[name] = match[1]
            elif not prefix and line and lines[line - 1].startswith("# "):
                comments[name] = lines[line - 1][2:]
            visit(value, f"{name}.")

    visit(yaml.compose(text, yaml.SafeLoader), "")
    return comments
