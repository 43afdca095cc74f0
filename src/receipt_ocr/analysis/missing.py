"""Statements on a report itself: what its records lack, and which run wrote each of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from receipt_ocr.analysis.experiment import LEADERBOARD
from receipt_ocr.analysis.results import Results
from receipt_ocr.identity import Member

__all__ = ["Missing", "WritingRun", "list_missing", "list_runs"]

TOGETHER = ("chosen_postprocess", "page_scores", "scores", "word_outcomes")
"""Entries that one run of the ensemble writes."""

READ = re.compile(
    r"(pages|words|rejected|raw_receipts|page_scores|untuned_page_scores|scores|word_outcomes|"
    r"worst_detections|test_detections|tuning_table|submission_records|leaderboard_records|"
    r"(chosen|tuned|holdout)_postprocess|\w+_(history|training_record|checkpoint))"
)
"""Entries that a report reads, and the checkpoints behind them."""


@dataclass(frozen=True)
class Missing:
    """Gaps in the records; each is empty or false where there is none."""

    leaderboard: bool
    holdout: bool
    test_truth: bool
    absent_folds: Sequence[int]
    tuning: bool
    histories: Sequence[str]
    """Members whose epochs are not known."""
    trainings: Sequence[str]
    """Own folds without a record of their training."""
    words: bool
    mixed_runs: bool
    """Thresholds and scores are of different runs."""
    retrained: Sequence[str]
    """Members that were trained again after they were scored."""
    runs: Sequence[str]
    """Entries whose run is not recorded."""
    left_out: Mapping[str, str | None]
    """Experiment -> why it is not compared; None where it was never scored."""
    faults: Sequence[str]
    """Records that cannot be read."""
    lost: Mapping[str, Sequence[str]]
    """Run that MLflow no longer has -> the entries that it wrote."""

    @property
    def is_anything(self) -> bool:
        """There is a gap at all."""
        return any(vars(self).values())


@dataclass(frozen=True)
class WritingRun:
    """A run, and what the report reads of what it wrote."""

    run_id: str | None
    """None without MLflow."""
    is_lost: bool
    """MLflow no longer has it."""
    pipeline: str
    commit: str | None
    saved: str
    """When the last of the entries was written."""
    entries: Sequence[str]


def list_missing(results: Results) -> Missing:
    """List the gaps in the records."""
    records, own = results.provenance.records, results.own
    told = [record for one in results.compared.experiments for record in one.leaderboard]
    runs = {records[entry].run_id for entry in TOGETHER if entry in records}
    folds = [name for name in results.histories if not Member.parse(name).is_external]
    return Missing(
        leaderboard=not any(record.source == LEADERBOARD for record in told),
        holdout=not results.has_truth("holdout"),
        test_truth=not results.has_truth("test"),
        absent_folds=results.absent_folds,
        tuning=own.tuned is None,
        histories=[name for name, history in results.histories.items() if history is None],
        trainings=[name for name in folds if own.trainings.get(name) is None],
        words=results.tables.word_outcomes is None,
        mixed_runs=len(runs) > 1,
        retrained=results.provenance.retrained,
        runs=[entry for entry in ("page_scores", "chosen_postprocess") if entry not in records],
        left_out=results.compared.left_out,
        faults=results.compared.faults,
        lost={run: sorted(entries) for run, entries in results.provenance.lost.items()},
    )


def list_runs(results: Results) -> Iterator[WritingRun]:
    """The runs behind a report, in the order of the first entry that each wrote."""
    by_run: dict[tuple[str | None, str, str | None], list[str]] = {}
    records = results.provenance.records
    for entry, record in sorted(records.items()):
        if READ.fullmatch(entry.rpartition("/")[2]):
            key = (record.run_id, record.pipeline, record.commit)
            by_run.setdefault(key, []).append(entry)
    for (run, pipeline, commit), entries in by_run.items():
        saved = max(records[entry].saved for entry in entries)
        yield WritingRun(run, run in results.provenance.lost, pipeline, commit, saved, entries)
