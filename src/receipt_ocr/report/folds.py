"""The parts of a report on the folds beside the ensemble: scores, comparison, intervals."""

from receipt_ocr.analysis.comparisons import list_intervals
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import compare_members, judging_subset, tabulate_folds
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    NOTHING,
    format_count,
    format_score,
    format_signed,
    format_table,
    name_sources,
    rows_of,
)

__all__ = ["write_comparison", "write_folds", "write_intervals"]

SPREAD = "standard deviation"
"""Row of the table of folds whose gap has no sign."""


def write_folds(results: Results) -> str:
    """Every fold's training and scores, with the ensemble below, in Markdown."""
    table = tabulate_folds(results.scores, results.histories)
    counts, gaps = ["pages", "best_epoch", "epochs"], ["gap"]
    rows = [
        [
            say(str(name)),
            *(format_count(row[column]) for column in counts),
            *(
                format_score(row[column])
                for column in table.columns.difference(counts + gaps, False)
            ),
            (format_score if name == SPREAD else format_signed)(row["gap"]),
        ]
        for name, row in table.iterrows()
    ]
    header = ["", say("pages"), say("best epoch"), say("epochs trained"), "P", "R", "H"]
    header += [say("holdout H"), say("test H"), say("test - out-of-fold")]
    sources = [f"{member}_history" for member in results.members]
    return "\n\n".join(
        [
            say("## Folds and ensemble"),
            say(
                "P, R and H are precision, recall and H-mean out of fold: on the pages that a fold "
                "did not train on (`pages` of them). The ensemble has no such pages. All scores "
                "are page means, as on the leaderboard; epochs count from 0."
            ),
            format_table(header, rows),
            *_explain_dashes(results),
            name_sources("scores", *sources),
        ]
    )


def _explain_dashes(results: Results) -> list[str]:
    lacks = []
    if not results.has_truth("holdout"):
        lacks.append(
            say(
                "{dash} stands where there is nothing to score: the data has no holdout.",
                dash=NOTHING,
            )
        )
    if not results.has_truth("test"):
        lacks.append(
            say(
                "{dash} stands where there is nothing to score: the truth of the test pages is "
                "withheld.",
                dash=NOTHING,
            )
        )
    return lacks


def write_comparison(results: Results) -> str:
    """The ensemble against the best fold, the mean fold and each fold, in Markdown."""
    subset = judging_subset(results.page_scores)
    title = say("## Is the ensemble better?")
    if subset is None:
        return f"{title}\n\n" + say(
            "It cannot be said: there is no truth to score the ensemble by."
        )
    table = compare_members(results.page_scores, subset)
    if table.empty:
        return f"{title}\n\n" + say(
            "Nothing to compare: that takes two members and two {subset} pages.",
            subset=say(subset),
        )
    rows = [
        (
            _name_opponent(str(row.opponent)),
            format_signed(row.difference),
            f"{format_signed(row.low)} {say('to')} {format_signed(row.high)}",
            say(str(row.verdict)),
        )
        for row in rows_of(table)
    ]
    header = [say("ensemble against"), say("difference"), say("95 % interval")]
    return "\n\n".join(
        [
            title,
            say(
                "Differences of the page-mean H-mean on the {pages} {subset} pages, with a paired "
                "bootstrap over pages; verdicts are of the figures before rounding. The best fold "
                "is the best on these very pages: nobody could have picked it beforehand.",
                pages=table["pages"].iloc[0],
                subset=say(subset),
            ),
            format_table([*header, say("the ensemble is")], rows),
            name_sources("page_scores"),
        ]
    )


def _name_opponent(opponent: str) -> str:
    name, _, member = opponent.partition(", ")
    return say("best fold, {fold}", fold=member) if member else say(name)


def write_intervals(results: Results) -> str:
    """How sure every score is, and what a leaderboard would say, in Markdown."""
    test_pages = results.test_pages
    table = list_intervals(results.page_scores, test_pages or None)
    if table.empty:
        return ""
    rows = [
        (
            say(str(row.subset).replace("_", "-")),
            say(str(row.member)),
            row.pages,
            format_score(row.hmean),
            f"{format_score(row.low)} {say('to')} {format_score(row.high)}",
        )
        for row in rows_of(table)
    ]
    header = [say("pages of"), say("member"), say("pages"), say("H-mean"), say("95 % interval")]
    parts = [
        say("## How sure the scores are"),
        say(
            "Bootstrap over pages: where a score would lie had other pages of the same kind been "
            "judged."
        ),
        format_table(header, rows, left=2),
    ]
    parts += [
        say(
            "A leaderboard of {pages} pages of the same kind would show a single fold {low} to "
            "{high} (95 %), by its out-of-fold pages.",
            pages=test_pages,
            low=format_score(row.leaderboard_low),
            high=format_score(row.leaderboard_high),
        )
        for row in rows_of(table[table["leaderboard_low"].notna()])
    ]
    return "\n\n".join([*parts, name_sources("page_scores")])
