"""The command ``kedro summary``: scores of folds and ensemble, and where results lie."""

from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import env_option

from receipt_ocr.commands.console import PlainCommand, params_option
from receipt_ocr.commands.stored import StoredResults

if TYPE_CHECKING:  # pandas takes its time: it is imported when needed
    import pandas as pd
    from kedro.framework.startup import ProjectMetadata

SUBSETS = {"out_of_fold": "out-of-fold", "holdout": "holdout", "test": "test"}
"""Subset in tables -> its name for people."""

UNKNOWN = {"holdout": "unknown (no holdout)", "test": "unknown (no test truth)"}


@click.command(cls=PlainCommand)
@env_option
@params_option(
    "Parameters that replace those of the environment, such as experiment=efficientnet_b3."
)
@click.pass_obj
def summary(metadata: "ProjectMetadata", env: str | None, params: dict[str, Any]) -> None:
    """Show the H-mean of every fold and of the ensemble, and where the submission lies.

    Reads what an earlier run has written; nothing is computed. The last line is
    "ensemble test H-mean: ...".

    Example: kedro summary --env=demo
    """
    results = StoredResults(metadata.project_path, env, params)
    stored = results.find("scores")
    if stored is None:
        raise click.ClickException(
            f"no scores at {results.address('scores')} yet; `{results.command('ensemble')}` makes "
            f"them from trained folds, `{results.command()}` everything from the raw receipts"
        )
    scores = stored.load()
    conclusion = [
        f"ensemble {subset} H-mean: {_hmean(scores, 'ensemble', subset) or unknown}"
        for subset, unknown in UNKNOWN.items()
    ]
    lines = [*_tabulate_scores(scores), "", *_list_files(results), "", *conclusion]
    click.echo("\n".join(lines))


def _tabulate_scores(scores: "pd.DataFrame") -> list[str]:
    """Make a line for each member with its H-mean on each subset, ``-`` where there is none."""
    lines = [f"{'H-mean':<12}" + "".join(f"{name:>13}" for name in SUBSETS.values())]
    for member in scores["member"].unique():
        cells = "".join(f"{_hmean(scores, member, subset) or '-':>13}" for subset in SUBSETS)
        lines.append(f"{member:<12}{cells}")
    return lines


def _list_files(results: StoredResults) -> list[str]:
    """Say where submission and report lie, and which command makes what is missing."""
    lines = []
    for title, pipeline, names in (
        ("submission", "submission", ("submission_json", "submission_csv")),
        ("report", "reporting", ("report", "report_page")),
    ):
        for name in names:
            is_there = results.find(name) is not None
            hint = "" if is_there else f"  (not there yet: {results.command(pipeline)})"
            lines.append(f"{title + ':':<12}{results.address(name)}{hint}")
    return lines


def _hmean(scores: "pd.DataFrame", member: str, subset: str) -> str:
    """Write a page-mean H-mean; empty if the table has no such row or no value in it."""
    rows = scores[(scores["member"] == member) & (scores["subset"] == subset)]["hmean"].dropna()
    return "" if rows.empty else f"{rows.iloc[0]:.4f}"
