"""What an experiment left behind, gathered for its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.tables import ENSEMBLE
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["Results"]


@dataclass(frozen=True)
class Results:
    """Tables and settings of one experiment; each attribute is the catalog entry of its name."""

    experiment: str
    """Its name."""
    dataset: str
    """Where the receipts lie, as a reader knows it."""
    recipe: Mapping[str, Any]
    """Every setting that decides what a detector is, nested."""
    histories: Mapping[str, pd.DataFrame | None]
    """Member -> its training, a row an epoch; None where that is not known."""
    scores: pd.DataFrame
    """A row a member and subset."""
    page_scores: pd.DataFrame
    """A row a member, subset and page."""
    chosen_postprocess: Mapping[str, Any]
    """``source`` (recipe, tuned or holdout), ``postprocess``, the settings that all scores are of,
    and ``members`` with their weights."""
    pages: pd.DataFrame
    """Every page that was used."""
    rejected: pd.DataFrame
    """Everything that was not, with its reason."""
    untuned_page_scores: pd.DataFrame | None = None
    """As ``page_scores``, at the recipe's post-processing; None or no rows where that is chosen."""
    tuned_postprocess: Mapping[str, Any] | None = None
    """What tuning found out of fold; None where it has not run."""
    holdout_postprocess: Mapping[str, Any] | None = None
    """What tuning the ensemble on the holdout found; None or empty where there is nothing."""
    tuning_table: pd.DataFrame | None = None
    """A row a point of the grid; None where tuning has not run."""
    word_outcomes: pd.DataFrame | None = None
    """What became of every word; None where that was not recorded."""
    trainings: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Member -> the record of its training; None where there is none."""
    experiments: Sequence[Experiment] = ()
    """This experiment and those beside it."""
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name of each of them that is configured -> its settings, as ``recipe``."""
    command: str = "kedro run"
    """What a reader types to run a pipeline in this environment."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Name of an experiment that is not laid beside -> why."""
    faults: Sequence[str] = ()
    """Records that could not be read, each with its file and what is wrong."""
    retrained: Sequence[str] = ()
    """Members whose maps are of another detector than the one that was scored."""
    run_records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Entry of the catalog -> which run wrote it: ``run_id``, ``pipeline``, ``commit``,
    ``saved``."""
    lost_runs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Id of a run that MLflow no longer has -> the entries that it wrote."""

    @property
    def test_pages(self) -> int:
        """How many pages a leaderboard has."""
        return int((self.pages["subset"] == "test").sum())

    @property
    def is_tuned(self) -> bool:
        """Whether the post-processing was searched for, out of fold or on the holdout."""
        return bool(self.chosen_postprocess["source"] != "recipe")

    @property
    def members(self) -> list[str]:
        """Names of all who vote."""
        return list(self.histories)

    @property
    def folds(self) -> list[int]:
        """Numbers of the experiment's own folds that vote."""
        own = [member for member in self.members if "/" not in member]
        return [int(member.removeprefix("fold_")) for member in own]

    @property
    def guests(self) -> list[tuple[str, int]]:
        """Members of other experiments: name of the experiment, number of the fold."""
        named = [member.rpartition("/") for member in self.members if "/" in member]
        return [(experiment, int(fold.removeprefix("fold_"))) for experiment, _, fold in named]

    @property
    def absent_folds(self) -> list[int]:
        """Numbers of the experiment's own folds that do not vote, if some do."""
        return sorted(set(range(FOLD_COUNT)) - set(self.folds)) if self.folds else []

    def has_truth(self, subset: str) -> bool:
        """Whether the ensemble was scored on a subset."""
        own = self.page_scores[self.page_scores["subset"] == subset]
        return bool((own["member"] == ENSEMBLE).any())

    def hmeans(self, subset: str, member: str = ENSEMBLE) -> pd.Series:
        """H-mean of each of a member's pages of a subset."""
        is_own = (self.page_scores["subset"] == subset) & (self.page_scores["member"] == member)
        return self.page_scores.loc[is_own, "hmean"].astype(float)
