"""The part of a report on all experiments: which one to submit, and all of them side by side."""

from collections.abc import Iterator

import pandas as pd

from receipt_ocr.evaluation.experiment import tabulate_experiments
from receipt_ocr.evaluation.language import say
from receipt_ocr.evaluation.markdown import (
    NOTHING,
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
)
from receipt_ocr.evaluation.recommendation import Recommendation, recommend
from receipt_ocr.evaluation.results import Results

__all__ = ["state_recommendation", "write_experiments"]


def write_experiments(results: Results) -> str:
    """The sections in Markdown; empty where nothing was scored."""
    if not results.experiments:
        return ""
    parts = [
        _write_recommendation(results),
        _write_table(results),
        *_write_gaps(results),
    ]
    return "\n\n".join(part for part in parts if part)


def state_recommendation(results: Results) -> str:
    """What to submit, in a sentence or two."""
    found = recommend(results.experiments, results.test_pages)
    if found is None:
        return ""
    which = f"`{found.experiment}`"
    if found.submission:
        which += say(" (submission `{id}`)", id=found.submission)
    text = say(
        "**Submit {which}**: its H-mean is {hmean} {where}",
        which=which,
        where=_place(found),
        hmean=format_score(found.hmean),
    )
    if found.expected is not None:
        text += say(
            "; a leaderboard of {pages} such pages would show {low} to {high} (95 %)",
            pages=results.test_pages,
            low=format_score(found.expected.low),
            high=format_score(found.expected.high),
        )
    return f"{text}. {_state_certainty(found)}"


def _place(found: Recommendation) -> str:
    if found.subset == "holdout":
        return say("on the {pages} holdout pages, which chose nothing", pages=found.pages)
    return say("on the {pages} out-of-fold pages", pages=found.pages)


def _state_certainty(found: Recommendation) -> str:
    if not found.rivals:
        return say("There is no other experiment to compare it with.")
    if not found.indistinct:
        return say(
            "It is better than each of the others by more than chance, on the pages that both "
            "were judged on."
        )
    names = join_words([f"`{name}`" for name in found.indistinct])
    return say(
        "That is not certain: on the same pages it is not clearly better than {names}.", names=names
    )


def _write_recommendation(results: Results) -> str:
    found = recommend(results.experiments, results.test_pages)
    if found is None or not found.rivals:
        return ""
    rows = [
        (
            rival.name,
            format_signed(rival.comparison.difference),
            f"{format_signed(rival.comparison.low)} {say('to')} "
            f"{format_signed(rival.comparison.high)}",
            rival.comparison.pages,
            say(rival.comparison.verdict),
        )
        for rival in found.rivals
    ]
    header = [say("against"), say("difference"), say("95 % interval"), say("pages")]
    return "\n\n".join(
        [
            say("## Which one to submit"),
            say("By H-mean {where}:", where=_place(found)),
            format_table([*header, say("`{name}` is", name=found.experiment)], rows),
            say(
                "Paired bootstrap over the pages that both were judged on. Test pages take no part "
                "in the choice, also where their truth is known."
            ),
            name_sources("page_scores", "submission_records"),
        ]
    )


def _write_table(results: Results) -> str:
    table = tabulate_experiments(results.experiments, results.test_pages)
    columns: dict[str, list[str]] = {
        say("parameters"): [_millions(value) for value in table["parameters"]],
        say("peak epoch"): [_plain(value, ".1f") for value in table["best_epoch"]],
        say("training of a fold"): [_minutes(value) for value in table["seconds"]],
        say("checkpoint"): [_mebibytes(value) for value in table["checkpoint_bytes"]],
    }
    for subset, title in (
        ("out_of_fold", say("out of fold")),
        ("holdout", say("holdout")),
        ("test", say("test")),
        ("leaderboard", say("leaderboard")),
    ):
        for name, letter in (("precision", "P"), ("recall", "R"), ("hmean", "H")):
            columns[f"{title} {letter}"] = [format_score(v) for v in table[f"{subset}_{name}"]]
    columns[say("gap")] = [format_signed(value) for value in table["gap"]]
    names = [*table.index]
    rows = [[title, *values] for title, values in columns.items()]
    return "\n\n".join(
        [
            say("## Experiments side by side"),
            format_table(["", *names], rows),
            say(
                "P, R and H are page means: out of fold of all folds that vote, each page judged "
                "by the fold that never saw it; on the other pages of the ensemble. `gap` is the "
                "leaderboard's H-mean minus the out-of-fold one. Peak epoch, time and size are "
                "means over the folds."
            ),
            name_sources(
                "other_experiments", "training_record", "page_scores", "leaderboard_records"
            ),
        ]
    )


def _write_gaps(results: Results) -> Iterator[str]:
    table = tabulate_experiments(results.experiments, results.test_pages)
    told = table[table["gap"].notna()]
    yield say("## The gap between validation and leaderboard")
    if told.empty:
        yield say(
            "No leaderboard score is recorded. Once there is one: `kedro run "
            '--pipeline=leaderboard --params "submission=<id>,hmean=...,precision=...,recall=..."`.'
        )
        return
    rows = [
        (
            name,
            format_score(row["out_of_fold_hmean"]),
            format_score(row["leaderboard_hmean"]),
            format_signed(row["gap"]),
            f"{format_signed(row['gap_low'])} {say('to')} {format_signed(row['gap_high'])}",
            say(str(row["gap_verdict"])),
        )
        for name, row in told.iterrows()
    ]
    header = [say("experiment"), say("out of fold"), say("leaderboard"), say("gap")]
    yield format_table([*header, say("by chance, 95 %"), say("the leaderboard is")], rows)
    yield say(
        "By chance alone, because it has other pages of the same kind, a leaderboard lies in that "
        "interval around a single fold's out-of-fold score. Lower than that: validation is too "
        "good (overfitted choices), or the test pages are harder. Higher: the ensemble gains, or "
        "they are easier. A gap inside it says nothing, whatever its sign."
    )
    yield name_sources("leaderboard_records", "page_scores")


def _millions(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value / 1e6:.2f} M"


def _mebibytes(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value / 2**20:.1f} MiB"


def _minutes(value: float) -> str:
    return NOTHING if pd.isna(value) else say("{minutes:.1f} min", minutes=value / 60)


def _plain(value: float, form: str) -> str:
    return NOTHING if pd.isna(value) else format(value, form)
