"""The part of a report on all experiments: which one to submit, and all of them side by side."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from receipt_ocr.analysis.experiment import (
    LEADERBOARD,
    Experiment,
    judge_gap,
    tabulate_experiments,
)
from receipt_ocr.analysis.recommendation import Recommendation, Rival, recommend
from receipt_ocr.analysis.results import Results
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import (
    NOTHING,
    format_score,
    format_signed,
    format_table,
    join_words,
    name_sources,
)

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
    sentences = [say("**Submit {which}**.", which=which), _state_score(found)]
    if found.expected is not None:
        sentences.append(_state_expected(found, results.test_pages))
    return " ".join([*sentences, *_state_certainty(found)])


def _state_expected(found: Recommendation, pages: int) -> str:
    assert found.expected is not None
    low, high = format_score(found.expected.low), format_score(found.expected.high)
    if found.subset == "holdout":
        return say(
            "A leaderboard of {pages} such pages would show {low} to {high} (95 %).",
            pages=pages,
            low=low,
            high=high,
        )
    return say(
        "A leaderboard of {pages} such pages would show a single fold {low} to {high} (95 %); an "
        "ensemble of several, which is what one submits, has no score out of fold.",
        pages=pages,
        low=low,
        high=high,
    )


def _state_score(found: Recommendation) -> str:
    hmean = format_score(found.hmean)
    if found.subset == "holdout":
        return say(
            "Its H-mean is {hmean} on the {pages} holdout pages, which chose no epoch and no "
            "threshold.",
            hmean=hmean,
            pages=found.pages,
        )
    if found.thresholds != "tuned":
        return say(
            "The H-mean of its single folds is {hmean} on the {pages} out-of-fold pages, which "
            "chose their epochs.",
            hmean=hmean,
            pages=found.pages,
        )
    return say(
        "The H-mean of its single folds is {hmean} on the {pages} out-of-fold pages, which chose "
        "their epochs and thresholds.",
        hmean=hmean,
        pages=found.pages,
    )


def _state_certainty(found: Recommendation) -> Iterator[str]:
    compared = [one for one in found.rivals if one.comparison is not None]
    if not found.rivals:
        yield say("There is no other experiment to compare it with.")
    elif compared and len(found.indistinct) + len(found.beaten_by) == 0:
        yield say(
            "It is better than each of the others by more than chance, on the pages that both "
            "were judged on."
        )
    if found.indistinct:
        yield say(
            "The choice is not certain: on the same pages it cannot be told apart from {names}; of "
            "these take whichever costs less.",
            names=_quote(found.indistinct),
        )
    if found.beaten_by:
        yield say(
            "On the fewer pages that both were judged on it is worse than {names}: train the other "
            "folds of those before you decide.",
            names=_quote(found.beaten_by),
        )
    if found.uncompared:
        yield say(
            "Not compared, for want of common pages: {names}.", names=_quote(found.uncompared)
        )


def _quote(names: list[str]) -> str:
    return join_words([f"`{name}`" for name in names])


def _write_recommendation(results: Results) -> str:
    found = recommend(results.experiments, results.test_pages)
    if found is None or not found.rivals:
        return ""
    header = [say("against"), say("its thresholds"), say("difference"), say("95 % interval")]
    header += [say("pages"), say("`{name}` is", name=found.experiment)]
    parts = [
        say("## Which one to submit"),
        _state_score(found),
        format_table(header, [_describe_rival(rival) for rival in found.rivals], left=2),
        say(
            "Paired bootstrap over the pages that both were judged on. Test pages take no part in "
            "the choice, also where their truth is known. The best of several is a little too "
            "good: it was chosen by these very pages."
        ),
        *_write_caveats(found),
        name_sources("page_scores", "submission_records"),
    ]
    return "\n\n".join(parts)


def _describe_rival(rival: Rival) -> tuple[object, ...]:
    found, where = rival.comparison, say(rival.thresholds)
    if found is None:
        return rival.name, where, NOTHING, NOTHING, 0, say("not compared")
    interval = f"{format_signed(found.low)} {say('to')} {format_signed(found.high)}"
    difference = format_signed(found.difference)
    return rival.name, where, difference, interval, found.pages, say(found.verdict)


def _write_caveats(found: Recommendation) -> Iterator[str]:
    if found.forced_by is not None:
        yield say(
            "Judged out of fold, though there is a holdout: `{name}` was not scored on it, or its "
            "thresholds were chosen by it.",
            name=found.forced_by,
        )
    tuned = {found.thresholds == "tuned", *(one.thresholds == "tuned" for one in found.rivals)}
    if found.subset == "out_of_fold" and len(tuned) > 1:
        yield say(
            "Thresholds that were tuned out of fold flatter the score there by their optimism; "
            "those of the recipe do not. Tune each before you believe the difference."
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
                "by the fold that never saw it; on the other pages of the ensemble. The "
                "leaderboard is of the submission of these scores. Peak epoch, time and size are "
                "means over the folds."
            ),
            name_sources(
                "experiment_store", "training_record", "page_scores", "leaderboard_records"
            ),
        ]
    )


def _write_gaps(results: Results) -> Iterator[str]:
    yield say("## The gap between validation and leaderboard")
    rows = [
        _describe_gap(one, record, results.test_pages)
        for one in results.experiments
        for record in one.leaderboard
        if record["source"] == LEADERBOARD
    ]
    if not rows:
        yield say(
            "No leaderboard score is recorded. Once there is one: `{command} "
            '--pipeline=leaderboard --params "submission=<id>,hmean=...,precision=...,'
            'recall=..."`.',
            command=results.command,
        )
        return
    header = [say("experiment"), say("submission"), say("out of fold"), say("leaderboard")]
    header += [say("gap"), say("by chance, 95 %"), say("the leaderboard is")]
    yield format_table(header, rows, left=2)
    yield say(
        "`gap` is the leaderboard's H-mean minus the mean of the members' out-of-fold scores when "
        "the submission was made. By chance alone, because it has other pages of the same kind, a "
        "leaderboard lies in that interval around a single fold's out-of-fold score. Lower than "
        "that: validation is too good (overfitted choices), or the test pages are harder. Higher: "
        "the ensemble gains, or they are easier. A gap inside it says nothing, whatever its sign."
    )
    yield name_sources("leaderboard_records", "submission_records", "page_scores")


def _describe_gap(one: Experiment, record: Mapping[str, Any], test_pages: int) -> tuple[str, ...]:
    hmean, gap = float(record["hmean"]), record.get("gap")
    own = (one.name, f"`{record['submission']}`")
    if gap is None:
        return *own, NOTHING, format_score(hmean), NOTHING, NOTHING, say("without validation")
    known = (*own, format_score(hmean - gap), format_score(hmean), format_signed(gap))
    if record is not one.score:
        return *known, NOTHING, say("of an earlier submission")
    judged = judge_gap(one, test_pages)
    if judged is None:
        return *known, NOTHING, NOTHING
    _, chance, verdict = judged
    interval = f"{format_signed(chance.low)} {say('to')} {format_signed(chance.high)}"
    return *known, interval, say(verdict)


def _millions(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value / 1e6:.2f} M"


def _mebibytes(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value / 2**20:.1f} MiB"


def _minutes(value: float) -> str:
    return NOTHING if pd.isna(value) else say("{minutes:.1f} min", minutes=value / 60)


def _plain(value: float, form: str) -> str:
    return NOTHING if pd.isna(value) else format(value, form)
