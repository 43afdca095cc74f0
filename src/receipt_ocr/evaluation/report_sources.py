"""The parts of a report on itself: what is missing in it, and which run each figure is from."""

from collections.abc import Iterator

from receipt_ocr.evaluation.language import say
from receipt_ocr.evaluation.markdown import NOTHING, format_table, join_words
from receipt_ocr.evaluation.results import Results

__all__ = ["list_missing", "write_missing", "write_sources"]


def write_missing(results: Results) -> str:
    """What the report cannot say, in Markdown; empty where nothing is missing."""
    lacks = list_missing(results)
    if not lacks:
        return ""
    return "\n\n".join([say("## What is missing"), "\n".join(f"- {lack}" for lack in lacks)])


def list_missing(results: Results) -> list[str]:
    """A sentence a gap in the records, each with the command that fills it where there is one."""
    return [
        *_list_unscored(results),
        *_list_unrecorded(results),
        *_list_left_out(results),
        *_list_lost(results),
    ]


def _list_unscored(results: Results) -> Iterator[str]:
    if not any(one.best_score for one in results.experiments):
        yield say("No leaderboard score: `kedro run --pipeline=leaderboard` records one.")
    if not results.has_truth("holdout"):
        yield say("No holdout: every labelled page chose an epoch or a threshold.")
    if not results.has_truth("test"):
        yield say("The truth of the test pages is withheld.")
    for fold in results.absent_folds:
        yield say("Fold {fold} does not vote.", fold=fold)
    if results.tuned_postprocess is None:
        yield say("No tuned thresholds: `kedro run --pipeline=tuning` finds them.")


def _list_unrecorded(results: Results) -> Iterator[str]:
    for name, history in results.histories.items():
        if history is None:
            yield say("The epochs of {member} are not known.", member=name)
    without = [n for n in results.members if results.trainings.get(n) is None and "/" not in n]
    if without:
        yield say(
            "No record of the training of {members} (parameters, time, size, why it ended): they "
            "were trained by an earlier version.",
            members=join_words(without),
        )
    if results.word_outcomes is None:
        yield say("No record of single words: `kedro run --pipeline=ensemble` makes it.")
    needed = ("page_scores", "chosen_postprocess")
    if unknown := [entry for entry in needed if entry not in results.run_records]:
        yield say("Which run wrote {entries} is not recorded.", entries=join_words(unknown))


def _list_left_out(results: Results) -> Iterator[str]:
    for name, reason in results.left_out.items():
        yield say("Experiment `{name}` is left out: {reason}.", name=name, reason=say(reason))


def _list_lost(results: Results) -> Iterator[str]:
    for run, entries in results.lost_runs.items():
        yield say(
            "MLflow no longer has run `{run}`, which wrote {entries}; the figures stand, their "
            "run cannot be looked at.",
            run=run,
            entries=join_words(sorted(entries)),
        )


def write_sources(results: Results) -> str:
    """Every entry of the catalog that the report read, with its run, in Markdown."""
    if not results.run_records:
        return ""
    rows = [
        (
            f"`{entry}`",
            _say_run(results, record.get("run_id")),
            record.get("pipeline", NOTHING),
            (record.get("commit") or NOTHING)[:10],
            str(record.get("saved", NOTHING)),
        )
        for entry, record in sorted(results.run_records.items())
    ]
    header = [say("entry"), say("MLflow run"), say("pipeline"), say("commit"), say("written")]
    return "\n\n".join(
        [
            say("## Where the figures come from"),
            say(
                "The lines below the tables name entries of the data catalog; each was written by "
                "this run:"
            ),
            format_table(header, rows, left=5),
        ]
    )


def _say_run(results: Results, run: str | None) -> str:
    if run is None:
        return NOTHING
    return f"`{run}`" + (say(" (deleted)") if run in results.lost_runs else "")
