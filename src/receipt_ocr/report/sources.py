"""The parts of a report on itself: what is missing in it, and which run each figure is from."""

from collections.abc import Iterator

from receipt_ocr.analysis.experiment import LEADERBOARD, Experiment
from receipt_ocr.analysis.results import Results
from receipt_ocr.report.language import say
from receipt_ocr.report.markdown import NOTHING, format_table, join_words

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
        *(
            say("A record cannot be read and is left out: {fault}.", fault=one)
            for one in results.faults
        ),
        *_list_lost(results),
    ]


def _list_unscored(results: Results) -> Iterator[str]:
    if not any(_is_told(one) for one in results.experiments):
        yield say(
            "No leaderboard score: `{command} --pipeline=leaderboard` records one.",
            command=results.command,
        )
    if not results.has_truth("holdout"):
        yield say("No holdout: every labelled page chose an epoch or a threshold.")
    if not results.has_truth("test"):
        yield say("The truth of the test pages is withheld.")
    for fold in results.absent_folds:
        yield say("Fold {fold} does not vote.", fold=fold)
    if results.tuned_postprocess is None:
        yield say(
            "No tuned thresholds: `{command} --pipeline=tuning` finds them.",
            command=results.command,
        )


def _is_told(one: Experiment) -> bool:
    return any(record["source"] == LEADERBOARD for record in one.leaderboard)


def _list_unrecorded(results: Results) -> Iterator[str]:
    for name, history in results.histories.items():
        if history is None:
            yield say("The epochs of {member} are not known.", member=name)
    without = [n for n in results.members if results.trainings.get(n) is None and "/" not in n]
    if without:
        yield say(
            "No record of the training of {members} (parameters, time, size, why it ended): run "
            "`{command} --pipeline=train_fold` again, which trains nothing that is finished.",
            members=join_words(without),
            command=results.command,
        )
    if results.word_outcomes is None:
        yield say(
            "No record of single words: `{command} --pipeline=ensemble` makes it.",
            command=results.command,
        )
    needed = ("page_scores", "chosen_postprocess")
    yield from _list_mixed(results)
    if unknown := [entry for entry in needed if entry not in results.run_records]:
        yield say("Which run wrote {entries} is not recorded.", entries=join_words(unknown))


def _list_mixed(results: Results) -> Iterator[str]:
    """Entries that belong together but were written by different runs."""
    records = results.run_records
    together = ("chosen_postprocess", "page_scores", "scores", "word_outcomes")
    runs = {records[entry].get("run_id") for entry in together if entry in records}
    if len(runs) > 1:
        yield say(
            "Thresholds and scores are of different runs, as after one that was broken off: "
            "`{command} --pipeline=ensemble` makes them anew.",
            command=results.command,
        )
    if results.retrained:
        yield say(
            "{members}: trained again after these scores were made. `{command} "
            "--pipeline=ensemble` makes them anew.",
            members=join_words(list(results.retrained)),
            command=results.command,
        )


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
