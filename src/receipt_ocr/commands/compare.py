"""The command ``kedro compare``: which of two experiments is better, and how sure that is."""

import re
import shlex
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import env_option

from receipt_ocr.commands.console import PlainCommand, params_option
from receipt_ocr.commands.stored import StoredResults
from receipt_ocr.commands.summary import SUBSETS
from receipt_ocr.datasets.project import open_config
from receipt_ocr.hooks import flatten_settings
from receipt_ocr.identity import ExperimentId
from receipt_ocr.records import ChosenPostprocess

if TYPE_CHECKING:  # pandas takes its time: it is imported when needed
    import pandas as pd
    from kedro.framework.startup import ProjectMetadata

    from receipt_ocr.analysis.bootstrap import Verdict

NAME = re.compile(r"[^@]+(@[^@]+)?")  # EXPERIMENT or EXPERIMENT@TTA
HOW_TO_READ = """\
Scores are page means of H-mean. Intervals hold 95 % of 10,000 resamples of the pages (paired
bootstrap: both are judged on the same pages). An interval around 0 decides nothing; one row in 20
is decided by chance where there is no difference. Choose by out-of-fold or holdout pages, and
leave the test pages for the last word."""


@click.command(cls=PlainCommand)
@click.argument("first")
@click.argument("second")
@env_option
@params_option("Parameters that replace those of the environment.")
@click.option(
    "--test-pages",
    type=click.IntRange(min=1),
    default=None,
    metavar="NUMBER",
    help="Also show where a leaderboard of so many pages would put each.",
)
@click.pass_obj
def compare(  # noqa: PLR0913, PLR0917 (click passes every option by itself)
    metadata: "ProjectMetadata",
    first: str,
    second: str,
    env: str | None,
    params: dict[str, Any],
    test_pages: int | None,
) -> None:
    """Say which of two experiments is better, FIRST or SECOND, or that nobody can tell.

    Each is the name of an experiment, or EXPERIMENT@TTA for its maps with test-time augmentation.
    Both are compared page by page on the out-of-fold, holdout and test pages that both were
    judged on. Reads what `kedro run --pipeline=ensemble` has written; nothing is run.

    \b
    Examples: kedro compare --env=sroie lite0 efficientnet_b3
              kedro compare --env=sroie lite0@flips lite0 --test-pages=413
    """  # noqa: D301 (the backspace is click's mark of lines that stay as they are)
    names = (first, second)
    _check_names(names, params)
    results = {}
    for name in names:
        experiment, view = ExperimentId.parse(name)
        own = {**params, "experiment": experiment, "tta": view}
        results[name] = StoredResults(metadata.project_path, env, own)
    address = results[first].address("page_scores")
    if address == results[second].address("page_scores"):
        raise click.ClickException(
            f"{first} and {second} both lead to {address}; nothing can be compared"
        )
    tables = _load_page_scores(results, params)
    lines = [*_compare(tables), *_describe_voting(results)]
    if test_pages is not None:
        lines += ["", *_foretell(tables, test_pages)]
    click.echo("\n".join([*lines, "", HOW_TO_READ]))


def _check_names(names: tuple[str, str], params: dict[str, Any]) -> None:
    if names[0] == names[1]:
        raise click.ClickException(f"{names[0]} and {names[1]} are the same; name two")
    if given := {"experiment", "tta"} & set(params):
        raise click.ClickException(
            f"--params {', '.join(sorted(given))} cannot be given: the names FIRST and SECOND say "
            "it (EXPERIMENT or EXPERIMENT@TTA)"
        )
    for name in names:
        if not NAME.fullmatch(name):
            raise click.ClickException(
                f"{name!r} is no name to compare; write EXPERIMENT or EXPERIMENT@TTA, such as "
                "lite0 or lite0@flips"
            )


def _load_page_scores(
    results: dict[str, StoredResults], params: dict[str, Any]
) -> dict[str, "pd.DataFrame"]:
    tables = {}
    for name, own in results.items():
        dataset = own.find("page_scores")
        if dataset is None:
            raise click.ClickException(
                f"no page scores of {name} at {own.address('page_scores')} yet. "
                + _say_what_to_do(own, params)
            )
        tables[name] = dataset.load()
    return tables


def _say_what_to_do(results: StoredResults, params: dict[str, Any]) -> str:
    """Name the command that makes the scores, or the experiments that there are."""
    # Without the experiment: an unknown one could not be read.
    parameters = open_config(results.project, results.env, params)["parameters"]
    known, own = parameters["experiments"]["variants"], results.params["experiment"]
    if own not in known:
        return f"Unknown experiment {own!r}; known are {', '.join(sorted(known))}"
    typed = [f"{key}={value}" for key, value in flatten_settings(results.params).items()]
    command = results.command("ensemble")
    return f"Make them with: {command} --params {shlex.quote(','.join(typed))}"


def _describe_voting(results: dict[str, StoredResults]) -> list[str]:
    """Say how the scores of each came about, with a warning where that differs too."""
    lines, ways = [""], []
    for name, own in results.items():
        dataset = own.find("chosen_postprocess")
        if dataset is None:
            return []
        chosen = ChosenPostprocess.model_validate(dataset.load())
        voting = chosen.members
        assert voting is not None  # only the final fit has none
        way = {"members": len(voting.names), "mean of": voting.mean, "thresholds": chosen.source}
        lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in way.items()))
        ways.append(way)
    if differing := [key for key in ways[0] if ways[0][key] != ways[1][key]]:
        lines.append(
            f"warning: they differ in {', '.join(differing)} as well, which may be the difference"
        )
    return lines


def _compare(tables: dict[str, "pd.DataFrame"]) -> list[str]:
    """Make two lines or more for each comparison: numbers, and what they say; then conclude."""
    from receipt_ocr.analysis.comparisons import compare_tables, state_verdict

    first, second = tables
    names = (first, second)
    rows = compare_tables(tables[first], tables[second], names).to_dict("records")
    if not rows:
        raise click.ClickException(
            f"{first} and {second} were judged on no two pages in common; nothing can be compared"
        )
    widths = [max(len(name), 6) + 2 for name in names]
    heads = f"{first:>{widths[0]}}{second:>{widths[1]}}"
    lines = [
        f"difference: {first} minus {second}",
        "",
        f"{'subset':<13}{'compared':<11}{'pages':>5}{heads}  {'difference':>10}  95 % interval",
    ]
    verdicts: list[Verdict] = ["better", "worse", "cannot be told apart"]
    places: dict[str, list[str]] = {state_verdict(verdict, names): [] for verdict in verdicts}
    for row in rows:
        subset, verdict = SUBSETS[row["subset"]], state_verdict(row["verdict"], names)
        scores = f"{row['first_hmean']:>{widths[0]}.4f}{row['second_hmean']:>{widths[1]}.4f}"
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
        start = f"{subset:<13}{row['member']:<11}{row['pages']:>5}"
        lines += [f"{start}{scores}  {row['difference']:>+10.4f}  {interval}", f"  -> {verdict}"]
        for name, pages in zip(names, (row["only_first"], row["only_second"]), strict=True):
            if pages:
                lines.append(f"     left out: {_count(pages)} that only {name} was judged on")
        places[verdict].append(f"{subset} ({row['member']})")
    parts = [f"{verdict} on {', '.join(where)}" for verdict, where in places.items() if where]
    conclusion = "; ".join(parts) if len(parts) > 1 else f"{verdict}, whatever is compared"
    return [*lines, "", f"conclusion: {conclusion}"]


def _count(pages: int) -> str:
    return "1 page" if pages == 1 else f"{pages} pages"


def _foretell(tables: dict[str, "pd.DataFrame"], test_pages: int) -> list[str]:
    """Say where a leaderboard would put each, by its out-of-fold pages."""
    from receipt_ocr.analysis.comparisons import ALL_FOLDS, list_intervals

    width = max(map(len, tables))
    lines = [
        f"a leaderboard of {_count(test_pages)} like the out-of-fold ones would put a single fold, "
        "95 times in 100, at"
    ]
    for name, table in tables.items():
        found = list_intervals(table[table["subset"] == "out_of_fold"], test_pages)
        rows = found[found["member"] == ALL_FOLDS].dropna()
        if rows.empty:
            lines.append(f"  {name:<{width}}  unknown (fewer than two out-of-fold pages)")
            continue
        row = rows.iloc[0]
        interval = f"{row['leaderboard_low']:.4f} to {row['leaderboard_high']:.4f}"
        lines.append(
            f"  {name:<{width}}  {interval}  (out-of-fold H-mean {row['hmean']:.4f}, "
            f"{_count(row['pages'])})"
        )
    return lines
