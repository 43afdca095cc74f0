"""The command ``kedro experiments``: lists the experiments, and how each differs."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import yaml
from kedro.framework.cli.utils import env_option

from receipt_ocr.commands.console import PlainCommand, params_option
from receipt_ocr.datasets.project import open_config
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.hooks import flatten_settings

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

WIDTH = 100


@click.command(name="experiments", cls=PlainCommand)
@click.argument("name", required=False)
@env_option
@params_option("Parameters that replace those of the environment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
@click.pass_obj
def experiments(
    metadata: "ProjectMetadata",
    name: str | None,
    env: str | None,
    params: dict[str, Any],
    as_json: bool,
) -> None:
    """List the experiments that can be trained, or show the whole recipe of one, NAME.

    Each is listed with what differs from the environment's recipe; a star marks the one that
    `kedro run` trains unless --params experiment=NAME selects another. A new experiment is a
    block with its differences under experiments.variants in the file
    conf/base/parameters_experiments.yml (or in that of an environment). All of them are checked
    before anything is shown.

    \b
    Examples: kedro experiments
              kedro experiments --env=sroie
              kedro experiments convnext_small --env=base
    """  # noqa: D301 (the backspace is click's mark of lines that stay as they are)
    parameters = open_config(metadata.project_path, env, params)["parameters"]
    block = Experiments.model_validate(parameters["experiments"])
    if name is None:
        differences = {name: _differences(block, name) for name in block.variants}
        content = {"selected": block.selected, "differences": differences}
        click.echo(json.dumps(content, indent=2) if as_json else "\n".join(_tabulate(block)))
        return
    if name not in block.variants:
        known = ", ".join(sorted(block.variants))
        raise click.ClickException(f"unknown experiment {name!r}; known are {known}")
    recipe = block.named(name).model_dump(mode="json")
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).rstrip()
    click.echo(json.dumps(recipe, indent=2) if as_json else text)


def _tabulate(experiments: Experiments) -> list[str]:
    """Make a line or more for each experiment: its name, a star if selected, its differences."""
    indent = max(map(len, experiments.variants)) + 4
    lines = []
    for name in experiments.variants:
        mark = "*" if name == experiments.selected else " "
        lines.append(f"{mark} {name}".ljust(indent))
        differing = _differences(experiments, name).items()
        items = [f"{key}={_as_text(value)}" for key, value in differing]
        for item in items or ["the recipe itself"]:
            if len(lines[-1]) > indent and len(lines[-1]) + len(item) > WIDTH:
                lines.append(" " * indent)
            lines[-1] += f"{item}  "
    return [line.rstrip() for line in lines]


def _differences(experiments: Experiments, name: str) -> dict[str, Any]:
    """Return dotted key -> value of each setting that differs from the recipe."""
    base = flatten_settings(experiments.recipe.model_dump(mode="json"))
    own = flatten_settings(experiments.named(name).model_dump(mode="json"))
    return {key: value for key, value in own.items() if value != base[key]}


def _as_text(value: Any) -> str:
    """Write a value as YAML; sizes in their short form, and of transforms only their number."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        if "size" not in value[0]:
            return f"{len(value)} transforms"
        value = {stage["epoch"]: stage["size"] for stage in value}
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()
