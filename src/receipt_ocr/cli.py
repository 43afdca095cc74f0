"""Commands that this project adds to ``kedro``: check, summary, and run with plain errors."""

import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params, env_option

if TYPE_CHECKING:  # pandas and the session take their time: they are imported when needed
    import pandas as pd
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import ProjectMetadata

__all__ = ["cli", "run"]

MEMBER_SUBSETS = {"out_of_fold": "out-of-fold", "holdout": "holdout", "test": "test"}
UNKNOWN = {"holdout": "unknown (no holdout)", "test": "unknown (no test truth)"}
ENSEMBLE = "ensemble"
WIDTH = 100
TRACEBACK = "RECEIPT_OCR_TRACEBACK"

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


@cli.command()
@env_option
@_params_option
@click.pass_obj
def check(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Look for what would make H-mean 0: in the data, the targets and the network.

    Reads the raw receipts, judges frames, labels and text sizes, decodes polygons from a page's
    own targets, and lets the network learn one page by heart (about two minutes on a CPU). Every
    finding says what to do. Ends with exit code 1 if there is a problem.

    Example: kedro check --env=sroie --params experiment=lite0
    """
    session = _create_session(metadata, env, params)
    entries = session.load_context().config_loader["catalog"]
    findings = _run(session, "check")["check_findings"].load()
    click.echo("\n".join(_list_findings(findings)))
    click.echo(f"findings: {entries['check_findings']['filepath']}")
    click.echo(f"picture:  {entries['check_picture']['filepath']}")
    if any(finding["level"] == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


@cli.command()
@env_option
@_params_option
@click.pass_obj
def summary(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Show the H-mean of every fold and of the ensemble, and where the submission lies.

    Reads what an earlier run has written; nothing is computed. The last line is
    "ensemble test H-mean: ...".

    Example: kedro summary --env=demo
    """
    context = _create_session(metadata, env, params).load_context()
    entries = context.config_loader["catalog"]
    scores = _load_scores(context.catalog, entries, env)
    lines = [*_tabulate_scores(scores), "", *_list_results(entries, metadata.project_path, env), ""]
    click.echo("\n".join([*lines, *_conclude(scores)]))


def _create_session(
    metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]
) -> "KedroSession":
    from kedro.framework.session import KedroSession

    return KedroSession.create(
        project_path=metadata.project_path, env=env, runtime_params=params or None
    )


def _run(session: "KedroSession", pipeline: str) -> dict[str, Any]:
    with _plain_errors():
        return session.run(pipeline_names=[pipeline])


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What users' data or settings can cause ends as one message, not as a traceback."""
    from kedro.io import DatasetError
    from kedro.validation.exceptions import ParameterValidationError

    try:
        yield
    except (DatasetError, ParameterValidationError, ValueError, OSError) as error:
        if os.environ.get(TRACEBACK):
            raise
        raise click.ClickException(
            f"{error}\n({type(error).__name__}; {TRACEBACK}=1 shows where it came from)"
        ) from error


def _with_plain_errors(command: click.Command) -> click.Command:
    def call(*args: Any, **options: Any) -> Any:
        with _plain_errors():
            return callback(*args, **options)

    callback: Callable[..., Any] = command.callback or (lambda: None)
    return click.Command(
        name=command.name,
        callback=call,
        params=command.params,
        help=command.help,
        short_help=command.short_help,
        context_settings=command.context_settings,
    )


run = _with_plain_errors(kedro_run)
cli.add_command(run)


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


def _load_scores(catalog: Any, entries: Mapping[str, Any], env: str | None) -> "pd.DataFrame":
    from kedro.io import DatasetError

    if not catalog.exists("scores"):
        run = f"kedro run{_env_option(env)}"
        raise click.ClickException(
            f"no scores at {entries['scores']['filepath']} yet; `{run} --pipeline=ensemble` makes "
            f"them from trained folds, `{run}` everything from the raw receipts"
        )
    try:
        scores: pd.DataFrame = catalog.load("scores")
    except DatasetError as error:
        raise click.ClickException(str(error)) from error
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
    ):
        path = str(entries[name]["filepath"])
        pipeline = "reporting" if name == "report" else "submission"
        command = f"kedro run{_env_option(env)} --pipeline={pipeline}"
        hint = "" if (project / path).exists() else f"  (not there yet: {command})"
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
