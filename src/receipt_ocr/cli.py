"""Commands that this project adds to ``kedro``: check, summary, and run with plain errors."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params, env_option
from kedro.framework.session import KedroSession

from receipt_ocr.commands.compare import compare_command
from receipt_ocr.commands.console import PlainCommand
from receipt_ocr.commands.experiments import experiments_command
from receipt_ocr.commands.stored import open_entry, read_catalog
from receipt_ocr.commands.train_folds import train_folds_command

if TYPE_CHECKING:  # pandas takes its time: it is imported when needed
    import pandas as pd
    from kedro.framework.startup import ProjectMetadata

__all__ = ["cli", "run"]

MEMBER_SUBSETS = {"out_of_fold": "out-of-fold", "holdout": "holdout", "test": "test"}
UNKNOWN = {"holdout": "unknown (no holdout)", "test": "unknown (no test truth)"}
ENSEMBLE = "ensemble"
WIDTH = 100

_params_option = click.option(
    "--params",
    default="",
    callback=_split_params,
    metavar="KEY=VALUE,...",
    help="Parameters that replace those of the environment, such as experiment=efficientnet_b3.",
)


@click.group(name="receipt_ocr")
def cli() -> None:
    """Commands of this project."""


@cli.command(cls=PlainCommand)
@env_option
@_params_option
@click.pass_obj
def check(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Look for what would make H-mean 0: in the data, the targets and the network.

    Reads the raw receipts, judges frames, labels and text sizes, decodes polygons from a page's
    own targets, and lets the network learn one page by heart (about two minutes on a CPU). Every
    finding says what to do. Ends with exit code 1 if there is a problem.

    Like ingestion, it rewrites the tables of pages, words and rejected records in the workspace.

    Example: kedro check --env=sroie --params experiment=lite0
    """
    entries = read_catalog(metadata.project_path, env, params)
    session = KedroSession.create(metadata.project_path, env=env, runtime_params=params)
    findings = session.run(pipeline_names=["check"])["check_findings"].load()
    click.echo("\n".join(_list_findings(findings)))
    click.echo(f"findings: {entries['check_findings']['filepath']}")
    click.echo(f"picture:  {entries['check_picture']['filepath']}")
    if any(finding["level"] == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


@cli.command(cls=PlainCommand)
@env_option
@_params_option
@click.pass_obj
def summary(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Show the H-mean of every fold and of the ensemble, and where the submission lies.

    Reads what an earlier run has written; nothing is computed. The last line is
    "ensemble test H-mean: ...".

    Example: kedro summary --env=demo
    """
    entries = read_catalog(metadata.project_path, env, params)
    scores = _load_scores(entries, metadata.project_path, env)
    lines = [*_tabulate_scores(scores), "", *_list_results(entries, metadata.project_path, env), ""]
    click.echo("\n".join([*lines, *_conclude(scores)]))


run = PlainCommand(
    name=kedro_run.name,
    callback=kedro_run.callback,
    params=kedro_run.params,
    help=kedro_run.help,
    context_settings=kedro_run.context_settings,
)
cli.add_command(run)
cli.add_command(compare_command)
cli.add_command(experiments_command)
cli.add_command(train_folds_command)


def _list_findings(findings: list[dict[str, str]]) -> list[str]:
    """A line or more a finding: its level and subject, what was found, what to do."""
    lines = []
    for finding in findings:
        lines += _wrap(f"{finding['level']:<8} {finding['subject']}: {finding['message']}")
        if finding["advice"]:
            lines += _wrap(f"         -> {finding['advice']}")
    counts = Counter(finding["level"] for finding in findings)
    verdict = f"problems: {counts['problem']}, warnings: {counts['warning']}, fine: {counts['ok']}"
    return ["", *lines, "", verdict]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=" " * 12, drop_whitespace=True, break_on_hyphens=False
    )


def _load_scores(entries: Mapping[str, Any], project: Path, env: str | None) -> "pd.DataFrame":
    entry = entries["scores"]
    dataset = open_entry("scores", entry, project)
    if not dataset.exists():
        run = f"kedro run{_env_option(env)}"
        raise click.ClickException(
            f"no scores at {entry['filepath']} yet; `{run} --pipeline=ensemble` makes "
            f"them from trained folds, `{run}` everything from the raw receipts"
        )
    scores: pd.DataFrame = dataset.load()
    return scores


def _tabulate_scores(scores: "pd.DataFrame") -> list[str]:
    """A line a member with its H-mean on each subset, ``-`` where there is none."""
    lines = [f"{'H-mean':<12}" + "".join(f"{name:>13}" for name in MEMBER_SUBSETS.values())]
    for member in dict.fromkeys(scores["member"]):
        values = [_hmean(scores, member, subset) for subset in MEMBER_SUBSETS]
        cells = ["-" if value is None else f"{value:.4f}" for value in values]
        lines.append(f"{member:<12}" + "".join(f"{cell:>13}" for cell in cells))
    return lines


def _list_results(entries: Mapping[str, Any], project: Path, env: str | None) -> list[str]:
    """Where submission and report lie, and which command makes what is missing."""
    lines = []
    for title, name in (
        ("submission", "submission_json"),
        ("submission", "submission_csv"),
        ("report", "report"),
        ("report", "report_page"),
    ):
        path = str(entries[name]["filepath"])
        pipeline = "reporting" if title == "report" else "submission"
        command = f"kedro run{_env_option(env)} --pipeline={pipeline}"
        is_there = open_entry(name, entries[name], project).exists()
        hint = "" if is_there else f"  (not there yet: {command})"
        lines.append(f"{title + ':':<12}{path}{hint}")
    return lines


def _env_option(env: str | None) -> str:
    return f" --env={env}" if env else ""


def _conclude(scores: "pd.DataFrame") -> list[str]:
    lines = []
    for subset, unknown in UNKNOWN.items():
        value = _hmean(scores, ENSEMBLE, subset)
        text = unknown if value is None else f"{value:.4f}"
        lines.append(f"ensemble {subset} H-mean: {text}")
    return lines


def _hmean(scores: "pd.DataFrame", member: str, subset: str) -> float | None:
    """Page-mean H-mean, None where the table has no such row or no value in it."""
    rows = scores[(scores["member"] == member) & (scores["subset"] == subset)]["hmean"].dropna()
    return None if rows.empty else float(rows.iloc[0])
