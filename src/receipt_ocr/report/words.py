"""The part of a report on errors: which words, which detections, and what to try next."""

from collections.abc import Iterator

import pandas as pd

from receipt_ocr.analysis.comparisons import own_folds
from receipt_ocr.analysis.fitting import STILL_RISING, judge_curves
from receipt_ocr.analysis.results import Results
from receipt_ocr.analysis.what_ifs import list_next_gains
from receipt_ocr.analysis.word_errors import GROUPS, group_errors, has_tilt
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import NOTHING, format_table, name_sources, rows_of

__all__ = ["write_next_gains", "write_words"]


def write_words(results: Results) -> str:
    """Errors by kinds of words, in Markdown."""
    words = results.word_outcomes
    title = say("## Which words are lost")
    if words is None:
        return f"{title}\n\n" + say(
            "Not recorded: these scores are of an earlier version; run --pipeline=ensemble again."
        )
    own = own_folds(words[words["subset"] == "out_of_fold"])
    if own.empty:
        return ""
    missed = own[own["is_true"] & (own["outcome"] == "missed")]
    parts = [
        title,
        say(
            "Out of fold, of {words} words on {pages} pages, {missed} are missed. Groups are "
            "quarters of all words (tilts are cut at 1, 3 and 10 degrees, and only words clearly "
            "longer than high have one); the interval draws whole pages. Characters are CLEval's: "
            "as many as fit into a word's box.",
            words=int(own["is_true"].sum()),
            pages=own["page"].nunique(),
            missed=len(missed),
        ),
        *(_write_group(own, by) for by in GROUPS),
        *_state_untilted(own),
        name_sources("word_outcomes"),
    ]
    return "\n\n".join(parts)


def _state_untilted(own: pd.DataFrame) -> Iterator[str]:
    rest = own[own["is_true"] & ~has_tilt(own)]
    if len(rest):
        yield say(
            "{count} words stand upright or are hardly longer than high, so that they have no "
            "tilt; {share:.1%} of them are missed.",
            count=len(rest),
            share=float((rest["outcome"] == "missed").mean()),
        )


def _write_group(own: pd.DataFrame, by: str) -> str:
    groups = group_errors(own, by)
    rows = [
        (
            row.group,
            row.words,
            f"{row.missed_share:.2%}",
            NOTHING if pd.isna(row.low) else f"{row.low:.2%} {say('to')} {row.high:.2%}",
            f"{row.split_share:.2%}",
            f"{row.lost_share:.3%}",
            *(NOTHING if pd.isna(value) else int(value) for value in (row.false, row.merged)),
        )
        for row in rows_of(groups)
    ]
    header = [say(GROUPS[by]), say("words"), say("missed"), say("95 % interval"), say("split")]
    header += [say("of all characters lost"), say("false"), say("merged")]
    return format_table(header, rows)


def write_next_gains(results: Results) -> str:
    """What to try next, in Markdown."""
    gains = list_next_gains(results.page_scores, results.word_outcomes)
    title = say("## Where the next gain is likely")
    ends = list(_list_open_ends(results))
    if not gains:
        nothing = say("No kind of error costs 0.0001 or more out of fold.")
        return "\n\n".join([title, nothing, *ends])
    rows = [(one.reason, one.advice, f"{one.gain:.4f}") for one in gains]
    return "\n\n".join(
        [
            title,
            say(
                "What the corpus H-mean of the out-of-fold pages (over all their characters "
                "together; a leaderboard takes the mean over pages) would gain if that error alone "
                "were gone: an upper bound, no promise. Several rows may be about the same words."
            ),
            format_table([say("what is lost"), say("what to try"), say("at most")], rows, left=2),
            *_warn_of_tuned(results),
            *ends,
            name_sources("page_scores", "word_outcomes"),
        ]
    )


def _warn_of_tuned(results: Results) -> Iterator[str]:
    if results.is_tuned:
        yield say(
            "The thresholds are tuned already: moving one of them alone trades these errors for "
            "others. What else is advised may gain more."
        )


def _list_open_ends(results: Results) -> Iterator[str]:
    """What more epochs might give, and what has not been tried at all."""
    own = {name: one for name, one in results.histories.items() if "/" not in name}
    table = judge_curves(own)
    rising = table[table["verdict"] == STILL_RISING]
    if len(rising):
        yield say(
            "{count} of {all} folds were still rising when they ended, by {rise:.4f} in an epoch: "
            "more `training.epochs` (and `training.schedule_epochs`) may gain more.",
            count=len(rising),
            all=len(table),
            rise=float(rising["rise"].mean()),
        )
    untried = []
    if results.tuned_postprocess is None:
        untried.append(say("tuning (`--pipeline=tuning`)"))
    if len(results.members) == 1:
        untried.append(say("further folds to vote (`kedro train-folds`)"))
    names = [one.name for one in results.experiments]
    base = results.experiment.partition("@")[0]
    if not any(name.startswith(f"{base}@") for name in names):
        untried.append(say("test-time augmentation (`--params tta=flip`)"))
    if untried:
        yield say("Not tried yet: {things}.", things=", ".join(untried))
