"""The report of an experiment as Markdown; every number names the catalog entry it came from."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.evaluation.markdown import (
    NOTHING,
    format_count,
    format_score,
    format_signed,
    format_table,
    join_words,
)
from receipt_ocr.evaluation.report_summary import summarise
from receipt_ocr.evaluation.report_tables import (
    compare_members,
    find_grid_edges,
    judging_subset,
    list_worst_pages,
    tabulate_errors,
    tabulate_folds,
)
from receipt_ocr.evaluation.results import Results

__all__ = ["Results", "write_report"]


def write_report(results: Results, pictures: Mapping[str, str] | None = None) -> str:
    """Everything worth knowing about an experiment, in Markdown.

    Args:
        results: Its tables and settings.
        pictures: Caption -> path of a picture, relative to the report.

    Returns:
        The text, ending in a line break.
    """
    parts = [
        f"# {results.experiment} on {results.dataset}",
        " ".join(summarise(results)),
        _write_folds(results),
        _write_comparison(results),
        *(f"![{caption}]({path})\n\n*{caption}*" for caption, path in (pictures or {}).items()),
        _write_postprocess(results),
        _write_errors(results),
        _write_worst_pages(results),
        _write_data(results),
        _write_settings(results),
        _write_commands(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _write_folds(results: Results) -> str:
    table = tabulate_folds(results.scores, results.histories)
    counts, gaps = ["pages", "best_epoch", "epochs"], ["gap"]
    rows = [
        [
            name,
            *(format_count(row[column]) for column in counts),
            *(
                format_score(row[column])
                for column in table.columns.difference(counts + gaps, False)
            ),
            (format_score if name == "standard deviation" else format_signed)(row["gap"]),
        ]
        for name, row in table.iterrows()
    ]
    header = ["", "pages", "best epoch", "epochs trained", "P", "R", "H"]
    header += ["holdout H", "test H", "test - out-of-fold"]
    sources = [f"{member}_history" for member in results.members]
    lacks = [
        f"{NOTHING} stands where there is nothing to score: {reason}."
        for subset, reason in (
            ("holdout", "the data has no holdout"),
            ("test", "the truth of the test pages is withheld"),
        )
        if not results.has_truth(subset)
    ]
    return "\n\n".join(
        [
            "## Folds and ensemble",
            "P, R and H are precision, recall and H-mean out of fold: on the pages that a fold "
            "did not train on (`pages` of them). The ensemble has no such pages. All scores are "
            "page means, as on the leaderboard; epochs count from 0.",
            format_table(header, rows),
            *lacks,
            _name_sources("scores", *sources),
        ]
    )


def _write_comparison(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    title = "## Is the ensemble better?"
    if subset is None:
        return f"{title}\n\nIt cannot be said: there is no truth to score the ensemble by."
    table = compare_members(results.page_scores, subset)
    if table.empty:
        return f"{title}\n\nNothing to compare: that takes two members and two {subset} pages."
    rows = [
        (
            row.opponent,
            format_signed(row.difference),
            f"{format_signed(row.low)} to {format_signed(row.high)}",
            row.verdict,
        )
        for row in table.itertuples()
    ]
    return "\n\n".join(
        [
            title,
            f"Differences of the page-mean H-mean on the {table['pages'].iloc[0]} {subset} pages, "
            "with a paired bootstrap over pages. The best fold is the best on these very pages: "
            "nobody could have picked it beforehand.",
            format_table(
                ["ensemble against", "difference", "95 % interval", "the ensemble is"], rows
            ),
            _name_sources("page_scores"),
        ]
    )


def _write_postprocess(results: Results) -> str:
    chosen = results.chosen_postprocess
    origin = "found by tuning" if chosen["source"] == "tuned" else "the recipe's"
    parts = [
        "## Post-processing",
        f"The settings that every score here is made with are {origin}.",
        format_table(["setting", "value"], chosen["postprocess"].items(), left=2),
        _name_sources("chosen_postprocess"),
        *_write_tuning(results),
    ]
    return "\n\n".join(parts)


def _write_tuning(results: Results) -> Iterator[str]:
    tuned = results.tuned_postprocess
    if tuned is None:
        yield "Tuning has not run, so nothing is known about better thresholds."
        return
    honest = tuned.get("honest_hmean")
    yield format_table(
        ["H-mean on the out-of-fold pages", ""],
        [
            ("at the recipe's settings", format_score(tuned["recipe_hmean"])),
            ("at the best point of the grid", format_score(tuned["chosen_hmean"])),
            (
                "each fold at the point chosen on the others (honest)",
                NOTHING if honest is None else format_score(honest),
            ),
        ],
    )
    yield (
        f"Tuned on {tuned['pages']} pages of folds "
        f"{join_words([str(fold) for fold in tuned['members']])}."
        + ("" if honest is not None else " An honest estimate takes two folds or more.")
    )
    if set(tuned["members"]) != set(results.folds):
        yield "**These are not the folds that vote: run tuning again.**"
    yield from _write_edges(results)
    yield _name_sources("tuned_postprocess", "tuning_table")


def _write_edges(results: Results) -> Iterator[str]:
    if results.tuning_table is None or results.tuned_postprocess is None:
        return
    best = results.tuned_postprocess["postprocess"]
    edges = find_grid_edges(results.tuning_table, best)
    if edges:
        named = join_words(
            [f"{axis} = {best[axis]:g} is the {end} tried" for axis, end in edges.items()]
        )
        yield f"**The best point lies on the edge of the grid: {named}; widen `tuning` there.**"


def _write_errors(results: Results) -> str:
    table = tabulate_errors(results.page_scores)
    return "\n\n".join(
        [
            "## Errors",
            "Missed and split count true words; merged and false count detections.",
            format_table(list(table.columns), table.itertuples(index=False), left=2),
            _name_sources("page_scores"),
        ]
    )


def _write_worst_pages(results: Results) -> str:
    subset = judging_subset(results.page_scores)
    if subset is None:
        return ""
    worst = list_worst_pages(results.page_scores, subset)
    counts = ["characters_truth", "missed", "split", "merged", "false"]
    rows = [
        [row["page"], *(format_score(row[c]) for c in ("precision", "recall", "hmean"))]
        + [row[c] for c in counts]
        for _, row in worst.iterrows()
    ]
    is_blank = results.page_scores["characters_truth"] == 0
    own = results.page_scores[is_blank & (results.page_scores["member"] == "ensemble")]
    blank = int((own["subset"] == subset).sum())
    header = ["page", "P", "R", "H", "true characters", "missed", "split", "merged", "false"]
    return "\n\n".join(
        [
            f"## The ensemble's worst {subset} pages",
            format_table(header, rows),
            f"Pages without any true word count 0 in the page mean, whatever is found on them; "
            f"they are not listed above. Of the {subset} pages {blank} are such.",
            _name_sources("page_scores"),
        ]
    )


def _write_data(results: Results) -> str:
    pages, rejected = results.pages, results.rejected
    rows = []
    for subset in pages["subset"].unique():
        own, faults = pages[pages["subset"] == subset], rejected[rejected["subset"] == subset]
        is_page = faults["word"] == ""
        rows.append(
            (
                subset,
                len(own),
                int(own["word_count"].sum()) if own["has_truth"].any() else "withheld",
                int((own["has_truth"] & (own["word_count"] == 0)).sum()),
                int(is_page.sum()),
                int((~is_page).sum()),
            )
        )
    header = ["subset", "pages", "words", "pages without words", "rejected pages", "rejected words"]
    parts = ["## Data", format_table(header, rows)]
    if len(rejected):
        reasons = [
            f"{reason} {count}" for reason, count in rejected["reason"].value_counts().items()
        ]
        parts.append(f"Rejected for: {join_words(reasons)}.")
    if ((rejected["subset"] == "test") & (rejected["word"] == "")).any():
        parts.append("A rejected test page is in no score here; on the leaderboard it counts 0.")
    return "\n\n".join([*parts, _name_sources("pages", "rejected")])


def _write_settings(results: Results) -> str:
    rows = list(_flatten(results.recipe))
    if results.weights is not None:
        rows.append(("ensemble.weights", list(results.weights)))
    return "\n\n".join(
        [
            "## Settings",
            format_table(["setting", "value"], rows, left=2),
            _name_sources("params:experiments", "params:ensemble"),
        ]
    )


def _write_commands(results: Results) -> str:
    experiment = f"experiment={results.experiment}"
    trainings = [
        f"kedro run --pipeline=train_fold --params fold={fold},{experiment}"
        for fold in results.folds
    ]
    voting = experiment
    if len(results.folds) == 1:
        voting = f"members={results.folds[0]},{experiment}"
    stages = ["tuning"] if results.chosen_postprocess["source"] == "tuned" else []
    stages += ["ensemble", "reporting"]
    commands = [
        "kedro run --pipeline=ingestion",
        "kedro run --pipeline=splitting",
        *trainings,
        *(f"kedro run --pipeline={stage} --params {voting}" for stage in stages),
    ]
    note = (
        "Add `--env=<name>` to each where the settings are those of another environment than base"
    )
    if len(results.folds) > 1 and results.absent_folds:
        note += f", and set `ensemble.members: {results.folds}` in its parameters"
    return "\n\n".join(
        ["## How to repeat it", "```bash\n" + "\n".join(commands) + "\n```", f"{note}."]
    )


def _flatten(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            stages = [", ".join(f"{name} {part}" for name, part in v.items()) for v in value]
            yield f"{prefix}{key}", "; ".join(stages)
        else:
            yield f"{prefix}{key}", value


def _name_sources(*entries: str) -> str:
    named = ", ".join(f"`{entry}`" for entry in entries)
    return f"*Source: {named} (entries of the data catalog).*"
