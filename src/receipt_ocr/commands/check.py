"""The command ``kedro check``: looks for what would spoil a training, before time is spent."""

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.session import KedroSession

from receipt_ocr.commands.console import PlainCommand, params_option
from receipt_ocr.commands.stored import StoredResults

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

WIDTH = 100


@click.command(cls=PlainCommand)
@env_option
@params_option(
    "Parameters that replace those of the environment, such as experiment=efficientnet_b3."
)
@click.pass_obj
def check(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Look for what would make H-mean 0: in the data, the targets and the network.

    Reads the raw receipts, judges frames, labels and text sizes, decodes polygons from a page's
    own targets, and lets the network learn one page by heart (about two minutes on a CPU). Every
    finding says what to do. Ends with exit code 1 if there is a problem.

    Like ingestion, it rewrites the tables of pages, words and rejected records in the workspace.

    Example: kedro check --env=sroie --params experiment=lite0
    """
    results = StoredResults(metadata.project_path, env, params)
    findings_file, picture = map(results.address, ("check_findings", "check_picture"))
    session = KedroSession.create(metadata.project_path, env=env, runtime_params=params)
    findings = session.run(pipeline_names=["check"])["check_findings"].load()
    click.echo("\n".join(_list_findings(findings)))
    click.echo(f"findings: {findings_file}")
    click.echo(f"picture:  {picture}")
    if any(finding["level"] == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


def _list_findings(findings: list[dict[str, str]]) -> list[str]:
    lines = []
    for finding in findings:
        lines += _wrap(f"{finding['level']:<8} {finding['subject']}: {finding['message']}")
        if finding["advice"]:
            lines += _wrap(f"         -> {finding['advice']}")
    counts = Counter(finding["level"] for finding in findings)
    verdict = f"problems: {counts['problem']}, warnings: {counts['warning']}, fine: {counts['ok']}"
    return ["", *lines, "", verdict]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * 12, break_on_hyphens=False)
