"""The command ``kedro compare``: which of two experiments is better, and how sure that is."""

import shlex
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import _split_params, env_option

from receipt_ocr.commands.console import PlainCommand
from receipt_ocr.commands.stored import open_entry, read_catalog
from receipt_ocr.datasets.project import open_config
from receipt_ocr.hooks import flatten_settings

if TYPE_CHECKING:  # pandas takes its time: it is imported when needed
    import pandas as pd
    from kedro.framework.startup import ProjectMetadata

    from receipt_ocr.analysis.bootstrap import Verdict

__all__ = ["compare_command"]

SUBSETS = {"out_of_fold": "out-of-fold", "holdout": "holdout", "test": "test"}
NAMED_BY = {"experiment", "tta"}
"""Parameters that follow from the names and cannot be given beside them."""
HOW_TO_READ = """\
Scores are page means of H-mean. Intervals hold 95 % of 10,000 resamples of the pages (paired
bootstrap: both are judged on the same pages). An interval around 0 decides nothing; one row in 20
is decided by chance where there is no difference. Choose by out-of-fold or holdout pages, and
leave the test pages for the last word."""


@dataclass(frozen=True)
class Variant:
    """An experiment, or one whose maps were made with test-time augmentation."""

    name: str
    experiment: str
    tta: str | None

    @classmethod
    def parse(cls, name: str) -> "Variant":
        """Read ``EXPERIMENT`` or ``EXPERIMENT@TTA``.

        Raises:
            click.ClickException: If it is neither.
        """
        experiment, *more = name.split("@")
        if not experiment or len(more) > 1 or more == [""]:
            raise click.ClickException(
                f"{name!r} is no name to compare; write EXPERIMENT or EXPERIMENT@TTA, such as "
                "lite0 or lite0@flips"
            )
        return cls(name, experiment, more[0] if more else None)

    @property
    def params(self) -> dict[str, str]:
        """The runtime parameters that lead to its results."""
        return {"experiment": self.experiment, "tta": self.tta or "none"}


@dataclass(frozen=True)
class Place:
    """Where results are looked for."""

    project: Path
    env: str | None
    params: dict[str, Any]


@click.command(name="compare", cls=PlainCommand)
@click.argument("first")
@click.argument("second")
@env_option
@click.option(
    "--params",
    default="",
    callback=_split_params,
    metavar="KEY=VALUE,...",
    help="Parameters that replace those of the environment.",
)
@click.option(
    "--test-pages",
    type=click.IntRange(min=1),
    default=None,
    metavar="NUMBER",
    help="Also show where a leaderboard of so many pages would put each.",
)
@click.pass_obj
def compare_command(  # noqa: PLR0913, PLR0917 (click passes every option by itself)
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
    variants = _read_names(names, params)
    place = Place(metadata.project_path, env, params)
    tables = _load_tables(variants, place)
    lines = [*_compare(tables, names), *_describe_voting(variants, place)]
    if test_pages is not None:
        lines += ["", *_foretell(dict(zip(names, tables, strict=True)), test_pages)]
    click.echo("\n".join([*lines, "", HOW_TO_READ]))


def _read_names(names: tuple[str, str], params: dict[str, Any]) -> tuple[Variant, Variant]:
    if names[0] == names[1]:
        raise click.ClickException(f"{names[0]} and {names[1]} are the same; name two")
    if given := NAMED_BY & set(params):
        raise click.ClickException(
            f"--params {', '.join(sorted(given))} cannot be given: the names FIRST and SECOND say "
            "it (EXPERIMENT or EXPERIMENT@TTA)"
        )
    return Variant.parse(names[0]), Variant.parse(names[1])


def _load_tables(
    variants: tuple[Variant, Variant], place: Place
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    entries = [
        read_catalog(place.project, place.env, {**place.params, **variant.params})["page_scores"]
        for variant in variants
    ]
    if entries[0]["filepath"] == entries[1]["filepath"]:
        raise click.ClickException(
            f"{variants[0].name} and {variants[1].name} both lead to {entries[0]['filepath']}; "
            "nothing can be compared"
        )
    first, second = (
        _load(variant, entry, place) for variant, entry in zip(variants, entries, strict=True)
    )
    return first, second


def _load(variant: Variant, entry: dict[str, Any], place: Place) -> "pd.DataFrame":
    dataset = open_entry("page_scores", entry, place.project)
    if not dataset.exists():
        raise click.ClickException(
            f"no page scores of {variant.name} at {entry['filepath']} yet. "
            + _say_what_to_do(variant, place)
        )
    table: pd.DataFrame = dataset.load()
    return table


def _describe_voting(variants: tuple[Variant, Variant], place: Place) -> list[str]:
    """How the scores of each came about, and a warning where that differs too."""
    lines, ways = [""], []
    for variant in variants:
        params = {**place.params, **variant.params}
        entry = read_catalog(place.project, place.env, params).get("chosen_postprocess")
        dataset = None if entry is None else open_entry("chosen_postprocess", entry, place.project)
        if dataset is None or not dataset.exists():
            return []
        chosen: dict[str, Any] = dataset.load()
        voting = chosen["members"]
        way = {
            "members": len(voting["names"]),
            "mean of": voting["mean"],
            "thresholds": chosen["source"],
        }
        lines.append(f"{variant.name}: " + ", ".join(f"{key} {way[key]}" for key in way))
        ways.append(way)
    if differing := [key for key in ways[0] if ways[0][key] != ways[1][key]]:
        lines.append(
            f"warning: they differ in {', '.join(differing)} as well, which may be the difference"
        )
    return lines


def _say_what_to_do(variant: Variant, place: Place) -> str:
    """The command that makes the scores, or the names that there are."""
    params = {**place.params, **variant.params}
    experiments = open_config(place.project, place.env, place.params)["parameters"]["experiments"]
    known = experiments["variants"]
    if variant.experiment not in known:
        return f"Unknown experiment {variant.experiment!r}; known are {', '.join(sorted(known))}"
    words = ["kedro", "run", *([f"--env={place.env}"] if place.env else []), "--pipeline=ensemble"]
    typed = [f"{key}={value}" for key, value in flatten_settings(params).items()]
    return f"Make them with: {shlex.join([*words, '--params', ','.join(typed)])}"


def _compare(tables: tuple["pd.DataFrame", "pd.DataFrame"], names: tuple[str, str]) -> list[str]:
    """The comparison's table, and one line over all of it."""
    from receipt_ocr.analysis.comparisons import compare_tables  # noqa: PLC0415 (pandas)

    compared = compare_tables(*tables, names)
    if compared.empty:
        raise click.ClickException(
            f"{names[0]} and {names[1]} were judged on no two pages in common; nothing can be "
            "compared"
        )
    rows = compared.to_dict("records")
    return [*_tabulate(rows, names), "", _conclude(rows, names)]


def _tabulate(rows: list[dict[Hashable, Any]], names: tuple[str, str]) -> list[str]:
    """Two lines or more a row of the comparison: its numbers, and what they say."""
    from receipt_ocr.analysis.comparisons import state_verdict  # noqa: PLC0415 (pandas)

    widths = [max(len(name), 6) + 2 for name in names]
    heads = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [
        f"difference: {names[0]} minus {names[1]}",
        "",
        f"{'subset':<13}{'compared':<11}{'pages':>5}{heads}  {'difference':>10}  95 % interval",
    ]
    for row in rows:
        scores = f"{row['first_hmean']:>{widths[0]}.4f}{row['second_hmean']:>{widths[1]}.4f}"
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
        start = f"{SUBSETS[row['subset']]:<13}{row['member']:<11}{row['pages']:>5}"
        lines.append(f"{start}{scores}  {row['difference']:>+10.4f}  {interval}")
        lines.append(f"  -> {state_verdict(row['verdict'], names)}")
        left_out = zip(names, (row["only_first"], row["only_second"]), strict=True)
        lines += [
            f"     left out: {_count(pages)} that only {name} was judged on"
            for name, pages in left_out
            if pages
        ]
    return lines


def _count(pages: int) -> str:
    return "1 page" if pages == 1 else f"{pages} pages"


def _conclude(rows: list[dict[Hashable, Any]], names: tuple[str, str]) -> str:
    """One line over all rows: who is better where."""
    from receipt_ocr.analysis.comparisons import state_verdict  # noqa: PLC0415 (pandas)

    places: dict[Verdict, list[str]] = {"better": [], "worse": [], "cannot be told apart": []}
    for row in rows:
        places[row["verdict"]].append(f"{SUBSETS[row['subset']]} ({row['member']})")
    sentences = {
        verdict: state_verdict(verdict, names) for verdict, where in places.items() if where
    }
    if len(sentences) == 1:
        return f"conclusion: {next(iter(sentences.values()))}, whatever is compared"
    parts = [f"{text} on {', '.join(places[verdict])}" for verdict, text in sentences.items()]
    return f"conclusion: {'; '.join(parts)}"


def _foretell(tables: dict[str, "pd.DataFrame"], test_pages: int) -> list[str]:
    """Where a leaderboard would put each, by its out-of-fold pages."""
    from receipt_ocr.analysis.comparisons import ALL_FOLDS, list_intervals  # noqa: PLC0415

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
