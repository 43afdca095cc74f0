"""Sources of a report: an experiment's tables, other experiments, and the runs behind them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from receipt_ocr.analysis.comparisons import ENSEMBLE
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import RunRecord, TunedPostprocess

TOGETHER = ("chosen_postprocess", "page_scores", "scores", "word_outcomes")
"""Entries that one run of the ensemble writes."""

READ = re.compile(
    r"(pages|words|rejected|raw_receipts|page_scores|untuned_page_scores|scores|word_outcomes|"
    r"worst_detections|test_detections|tuning_table|submission_records|leaderboard_records|"
    r"(chosen|tuned|holdout)_postprocess|\w+_(history|training_record|checkpoint))"
)
"""Entries that a report reads, and the checkpoints behind them."""


@dataclass(frozen=True)
class Compared:
    """The reported experiment and those beside it."""

    experiments: Sequence[Experiment]
    """The reported one first."""
    left_out: Mapping[str, str | None] = field(default_factory=dict)
    """Name of an experiment that is not compared -> why; None where it was never scored."""
    faults: Sequence[str] = ()
    """Records that cannot be read, each with its file and what is wrong."""


@dataclass(frozen=True)
class Tables:
    """The reported experiment's tables, except its page scores."""

    pages: pd.DataFrame
    """Every page that was used."""
    rejected: pd.DataFrame
    """Everything that was not, with its reason."""
    untuned_page_scores: pd.DataFrame | None = None
    """Page scores at the recipe's post-processing; None or empty where that is in use."""
    word_outcomes: pd.DataFrame | None = None
    """Outcome of every word; None where that was not recorded."""
    tuning_table: pd.DataFrame | None = None
    """A row a point of the grid; None where tuning has not run."""
    holdout: TunedPostprocess | None = None
    """Result of tuning the ensemble on the holdout; None where that has not run."""


@dataclass(frozen=True)
class Provenance:
    """Runs that wrote the entries that a report reads."""

    records: Mapping[str, RunRecord] = field(default_factory=dict)
    """Entry of the catalog -> its run; entries of other experiments as ``other/page_scores``."""
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Id of a run that MLflow no longer has -> the entries that it wrote."""
    retrained: Sequence[str] = ()
    """Members whose maps are of another detector than the one that was scored."""
    command: str = "kedro run"
    """Start of the command that runs a pipeline in this environment."""

    @property
    def is_mixed(self) -> bool:
        """Thresholds and scores are of different runs."""
        return len({self.records[name].run_id for name in TOGETHER if name in self.records}) > 1

    @property
    def unrecorded(self) -> list[str]:
        """Entries behind every score whose run is not recorded."""
        return [name for name in ("page_scores", "chosen_postprocess") if name not in self.records]

    @property
    def runs(self) -> list[tuple[RunRecord, list[str]]]:
        """The last record of each run, and the entries that it wrote and a report reads."""
        by_run: dict[tuple[str | None, str, str | None], list[str]] = {}
        for entry, record in sorted(self.records.items()):
            if READ.fullmatch(entry.rpartition("/")[2]):
                key = (record.run_id, record.pipeline, record.commit)
                by_run.setdefault(key, []).append(entry)
        return [
            (max((self.records[name] for name in entries), key=lambda one: one.saved), entries)
            for entries in by_run.values()
        ]


@dataclass(frozen=True)
class Results:
    """Everything that one report is about."""

    dataset: str
    """Name of the place of the receipts."""
    histories: Mapping[str, pd.DataFrame | None]
    """Voter -> its training, a row an epoch; None where that is not known."""
    compared: Compared
    tables: Tables
    provenance: Provenance = field(default_factory=Provenance)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name of an experiment that is still configured -> all its settings, nested."""

    @property
    def own(self) -> Experiment:
        """The reported experiment."""
        return self.compared.experiments[0]

    @property
    def views(self) -> list[Experiment]:
        """Experiments with the reported one's detectors under a TTA view."""
        own = ExperimentId.parse(self.own.name).experiment
        named = [(ExperimentId.parse(one.name), one) for one in self.compared.experiments]
        return [one for name, one in named if name.experiment == own and not name.is_plain]

    @property
    def test_pages(self) -> int:
        """Number of pages of a leaderboard."""
        return int((self.tables.pages["subset"] == "test").sum())

    @property
    def members(self) -> list[Member]:
        """All who vote."""
        return [Member.parse(name) for name in self.histories]

    @property
    def folds(self) -> list[int]:
        """Numbers of the experiment's own folds that vote."""
        return [member.fold for member in self.members if not member.is_external]

    @property
    def absent_folds(self) -> list[int]:
        """Numbers of its own folds that do not vote, if some do."""
        return sorted(set(range(FOLD_COUNT)) - set(self.folds)) if self.folds else []

    @property
    def unrecorded_folds(self) -> list[str]:
        """Own folds that vote without a record of their training."""
        folds = [str(member) for member in self.members if not member.is_external]
        return [name for name in folds if self.own.trainings.get(name) is None]

    def has_truth(self, subset: str) -> bool:
        """Tell whether the ensemble was scored on a subset."""
        return len(self.hmeans(subset)) > 0

    def hmeans(self, subset: str, member: str = ENSEMBLE) -> pd.Series:
        """H-mean of each of a member's pages of a subset."""
        table = self.own.page_scores
        is_own = (table["subset"] == subset) & (table["member"] == member)
        return table.loc[is_own, "hmean"].astype(float)
