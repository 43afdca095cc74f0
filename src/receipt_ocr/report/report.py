"""The report of an experiment as Markdown; every number names the catalog entry it came from."""

from collections.abc import Iterator, Mapping

from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.tables import (
    judging_subset,
    list_worst_pages,
    tabulate_errors,
)
from receipt_ocr.report.balance import write_balance
from receipt_ocr.report.experiments import state_recommendation, write_experiments
from receipt_ocr.report.folds import write_comparison, write_folds, write_intervals
from receipt_ocr.report.gains import write_gains
from receipt_ocr.report.language import say
from receipt_ocr.report.learning import write_learning
from receipt_ocr.report.markdown import (
    format_score,
    format_table,
    join_words,
    name_sources,
)
from receipt_ocr.report.search import write_search
from receipt_ocr.report.settings_table import write_differences, write_settings
from receipt_ocr.report.sources import write_missing, write_sources
from receipt_ocr.report.summary import summarise
from receipt_ocr.report.words import write_next_gains, write_words

__all__ = ["Results", "write_report"]


def write_report(results: Results, pictures: Mapping[str, tuple[str, str]] | None = None) -> str:
    """Everything worth knowing about an experiment and those beside it, in Markdown.

    Args:
        results: Its tables and settings.
        pictures: ``history``, ``scores``, ``search``, ``precision_recall``,
            ``worst_pages`` or ``gallery`` -> its caption and path, relative to the report.

    Returns:
        The text, ending in a line break.
    """

    def show(*names: str) -> str:
        known = [pictures[name] for name in names if pictures and name in pictures]
        shown = [f"![{say(text)}]({path})\n\n*{say(text)}*" for text, path in known]
        return "\n\n".join(shown)

    parts = [
        say("# {experiment} on {dataset}", experiment=results.experiment, dataset=results.dataset),
        state_recommendation(results),
        " ".join(summarise(results)),
        write_experiments(results),
        write_differences(results),
        write_next_gains(results),
        write_folds(results),
        show("history"),
        write_learning(results),
        write_balance(results),
        write_comparison(results),
        write_gains(results),
        write_intervals(results),
        show("scores"),
        write_search(results),
        show("search", "precision_recall"),
        write_words(results),
        show("worst_pages"),
        _write_errors(results),
        show("gallery"),
        _write_worst_pages(results),
        write_missing(results),
        _write_data(results),
        write_settings(results),
        _write_commands(results),
        write_sources(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _write_errors(results: Results) -> str:
    table = tabulate_errors(results.page_scores)
    rows = [
        (say(member), say(subset), *counts)
        for member, subset, *counts in table.itertuples(index=False)
    ]
    header = [say("member"), say("subset"), say("pages")]
    header += [say("missed"), say("split"), say("merged"), say("false")]
    return "\n\n".join(
        [
            say("## Errors"),
            say("Missed and split count true words; merged and false count detections."),
            format_table(header, rows, left=2),
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
    header = [say("page"), "P", "R", "H", say("true characters")]
    header += [say("missed"), say("split"), say("merged"), say("false")]
    return "\n\n".join(
        [
            say("## The ensemble's worst {subset} pages", subset=say(subset)),
            format_table(header, rows),
            say(
                "Pages without any true word count 0 in the page mean, whatever is found on them; "
                "they are not listed above. Of the {subset} pages {blank} are such.",
                subset=say(subset),
                blank=int((own["subset"] == subset).sum()),
            ),
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
                say(subset),
                len(own),
                int(own["word_count"].sum()) if own["has_truth"].any() else say("withheld"),
                int((own["has_truth"] & (own["word_count"] == 0)).sum()),
                int(is_page.sum()),
                int((~is_page).sum()),
            )
        )
    header = [say("subset"), say("pages"), say("words"), say("pages without words")]
    header += [say("rejected pages"), say("rejected words")]
    parts = [say("## Data"), format_table(header, rows)]
    if len(rejected):
        reasons = [
            f"{reason} {count}" for reason, count in rejected["reason"].value_counts().items()
        ]
        parts.append(say("Rejected for: {reasons}.", reasons=join_words(reasons)))
    if ((rejected["subset"] == "test") & (rejected["word"] == "")).any():
        parts.append(
            say("A rejected test page is in no score here; on the leaderboard it counts 0.")
        )
    return "\n\n".join([*parts, name_sources("pages", "rejected")])


def _write_commands(results: Results) -> str:
    commands = "\n".join(f"{results.command} {words}" for words in _list_commands(results))
    return "\n\n".join([say("## How to repeat it"), f"```bash\n{commands}\n```"])


def _list_commands(results: Results) -> list[str]:
    own = [(results.experiment, fold) for fold in results.folds]
    voting = _name_variant(results.experiment)
    if results.guests or results.absent_folds:
        names = [member.removeprefix("fold_") for member in results.members]
        voting = f"members={'+'.join(names)},{voting}"
    stages = ["tuning"] if results.is_tuned else []
    return [
        "--pipeline=ingestion",
        "--pipeline=splitting",
        *(line for name, fold in [*own, *results.guests] for line in _train(name, fold)),
        *(f"--pipeline={stage} --params {voting}" for stage in [*stages, "ensemble", "reporting"]),
    ]


def _train(name: str, fold: int) -> Iterator[str]:
    """A detector is trained once, however it looks at pages afterwards."""
    experiment, _, tta = name.partition("@")
    yield f"--pipeline=train_fold --params fold={fold},experiment={experiment}"
    if tta:
        yield f"--pipeline=predict_fold --params fold={fold},{_name_variant(name)}"


def _name_variant(name: str) -> str:
    """The parameters that choose an experiment and how its detectors look at the pages."""
    experiment, _, tta = name.partition("@")
    return f"experiment={experiment}" + (f",tta={tta}" if tta else "")
