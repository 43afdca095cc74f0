"""The report of an experiment as Markdown; every number names the catalog entry it came from."""

from collections.abc import Iterator, Mapping
from typing import Any

from receipt_ocr.evaluation.comparisons import list_intervals
from receipt_ocr.evaluation.markdown import (
    NOTHING,
    format_count,
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
)
from receipt_ocr.evaluation.report_search import write_search
from receipt_ocr.evaluation.report_summary import summarise
from receipt_ocr.evaluation.report_tables import (
    compare_members,
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
        _write_intervals(results),
        *(f"![{caption}]({path})\n\n*{caption}*" for caption, path in (pictures or {}).items()),
        write_search(results),
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
            name_sources("scores", *sources),
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
            name_sources("page_scores"),
        ]
    )


def _write_intervals(results: Results) -> str:
    """How sure every score is, and what a leaderboard would say."""
    test_pages = int((results.pages["subset"] == "test").sum())
    table = list_intervals(results.page_scores, test_pages or None)
    if table.empty:
        return ""
    rows = [
        (
            str(row.subset).replace("_", "-"),
            row.member,
            row.pages,
            format_score(row.hmean),
            f"{format_score(row.low)} to {format_score(row.high)}",
        )
        for row in table.itertuples()
    ]
    parts = [
        "## How sure the scores are",
        "Bootstrap over pages: where a score would lie had other pages of the same kind been "
        "judged.",
        format_table(["pages of", "member", "pages", "H-mean", "95 % interval"], rows, left=2),
    ]
    told = table[table["leaderboard_low"].notna()]
    parts += [
        f"A leaderboard of {test_pages} pages of the same kind would show a single fold "
        f"{format_score(row.leaderboard_low)} to {format_score(row.leaderboard_high)} (95 %), "
        "by its out-of-fold pages."
        for row in told.itertuples()
    ]
    return "\n\n".join([*parts, name_sources("page_scores")])


def _write_errors(results: Results) -> str:
    table = tabulate_errors(results.page_scores)
    return "\n\n".join(
        [
            "## Errors",
            "Missed and split count true words; merged and false count detections.",
            format_table(list(table.columns), table.itertuples(index=False), left=2),
            name_sources("page_scores"),
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
            name_sources("page_scores"),
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
    return "\n\n".join([*parts, name_sources("pages", "rejected")])


def _write_settings(results: Results) -> str:
    rows = list(_flatten(results.recipe))
    voting = results.chosen_postprocess["members"]
    rows.append(("ensemble.mean", voting["mean"]))
    shares = zip(voting["names"], voting["weights"], strict=True)
    rows += [(f"weight of {name}", f"{weight:.4f}") for name, weight in shares]
    return "\n\n".join(
        [
            "## Settings",
            format_table(["setting", "value"], rows, left=2),
            name_sources("params:experiments", "params:ensemble"),
        ]
    )


def _write_commands(results: Results) -> str:
    experiment = _name_variant(results.experiment)
    trainings = [
        f"kedro run --pipeline=train_fold --params fold={fold},{experiment}"
        for fold in results.folds
    ]
    trainings += [
        f"kedro run --pipeline=train_fold --params fold={fold},{_name_variant(other)}"
        for other, fold in results.guests
    ]
    voting = experiment
    if results.guests or results.absent_folds:
        names = [member.removeprefix("fold_") for member in results.members]
        voting = f"members={'+'.join(names)},{experiment}"
    stages = [] if results.chosen_postprocess["source"] == "recipe" else ["tuning"]
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
    return "\n\n".join(
        ["## How to repeat it", "```bash\n" + "\n".join(commands) + "\n```", f"{note}."]
    )


def _name_variant(name: str) -> str:
    """The parameters that choose an experiment and how its detectors look at the pages."""
    experiment, _, tta = name.partition("@")
    return f"experiment={experiment}" + (f",tta={tta}" if tta else "")


def _flatten(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            stages = [", ".join(f"{name} {part}" for name, part in v.items()) for v in value]
            yield f"{prefix}{key}", "; ".join(stages)
        else:
            yield f"{prefix}{key}", value
