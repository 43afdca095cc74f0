"""Records that one stage writes as JSON and later ones read; each is checked when it is read.

Keys that earlier versions wrote under another name are still read, and unknown keys are passed
over. A record that lacks a key, or holds a value of another kind, is refused with the key's name.
See :mod:`receipt_ocr.datasets.records` for the files.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field

from receipt_ocr.config import Config
from receipt_ocr.decoding.settings import MeanKind, PostprocessSettings

FINAL = "final"
"""Name of the final fit's detector as a member."""


class Record(Config):
    """Base of the records: immutable, finite numbers only, earlier names of keys accepted."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    made_by: ClassVar[str]
    """Command that writes such a record again."""


class NoRecord(Record):
    """Saved by a stage that had nothing to work on; it is stored as ``{}`` and read as None."""


class Sensitivity(Record):
    """Range in which one setting costs less than 0.0005 of H-mean, the others being as chosen."""

    lowest: float
    highest: float
    is_open_below: bool
    """The lowest value is the end of what was tried, not of what is good."""
    is_open_above: bool
    hmean: float


class TunedPostprocess(Record):
    """Post-processing that a search has chosen, with what it rests on."""

    made_by = "--pipeline=tuning"

    postprocess: PostprocessSettings
    members: tuple[str, ...]
    """Members whose maps were searched on."""
    sources: dict[str, str]
    """Member -> fingerprint of the detector that predicted those maps."""
    mean: MeanKind = "probability"
    weights: tuple[float, ...] = ()
    pages: int
    chosen_hmean: float
    """On the pages that chose the settings."""
    cross_fitted_hmean: float | None = Field(
        None, validation_alias=AliasChoices("cross_fitted_hmean", "honest_hmean")
    )
    """Each fold at the settings chosen on the other folds: the honest estimate. None with one fold
    and on a holdout."""
    recipe_hmean: float
    """On the same pages at the recipe's settings."""
    grid_hmean: float | None = None
    """On the same pages at the best point of the grid, where that was refined."""
    transferred_hmean: float | None = None
    """Only for a search on the holdout: on its pages, at the settings tuned out of fold."""
    sensitivity: dict[str, Sensitivity] = Field(
        default_factory=dict, validation_alias=AliasChoices("sensitivity", "plateau")
    )
    """Setting -> how far it alone may move."""


class Voting(Record):
    """The members of an ensemble, their weights and the kind of mean."""

    names: tuple[str, ...]
    """Members, as :class:`receipt_ocr.identity.Member` writes them."""
    weights: tuple[float, ...]
    """A share of 1 each."""
    sources: dict[str, str]
    """Member -> fingerprint of its detector and TTA view."""
    mean: MeanKind

    @classmethod
    def of_one(cls, name: str, source: str) -> Self:
        """A member that stands alone."""
        return cls(names=(name,), weights=(1.0,), sources={name: source}, mean="probability")

    @property
    def shares(self) -> dict[str, float]:
        """Member -> its weight."""
        return dict(zip(self.names, self.weights, strict=True))


class ChosenPostprocess(Record):
    """The post-processing that an ensemble's (or the final fit's) maps are read with."""

    made_by = "--pipeline=ensemble (or final_fit, for that of the final fit)"

    source: Literal["recipe", "tuned", "holdout"]
    """Where the settings come from: the recipe, or a search out of fold or on the holdout."""
    postprocess: PostprocessSettings
    recipe: PostprocessSettings | None = None
    """The recipe's settings of that time; None in a final fit's record of an earlier version."""
    members: Voting | None = None
    """None for the final fit, where no members vote."""

    @property
    def is_tuned(self) -> bool:
        """Whether the settings were searched for."""
        return self.source != "recipe"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members that vote; none for the final fit."""
        return () if self.members is None else self.members.names


class SubmissionMember(Record):
    """A detector that took part in a submission."""

    name: str
    """As in :class:`Voting`; ``final`` for the final fit."""
    experiment: str | None = None
    """None in records of earlier versions, as ``weight``."""
    fold: int | None = None
    """None for a detector of all pages."""
    weight: float | None = None
    run_id: str | None
    """MLflow run of its training."""
    validation_hmean: float | None
    """Out of fold."""
    holdout_hmean: float | None

    @classmethod
    def final(cls, experiment: str, run_id: str | None) -> Self:
        """The final fit's detector, of which no page is left to know anything beforehand."""
        unknown = {"run_id": run_id, "validation_hmean": None, "holdout_hmean": None}
        return cls(name=FINAL, experiment=experiment, weight=1.0, **unknown)


class SubmissionRecord(Record):
    """A submission: the detectors that made it, their settings, and its scores beforehand."""

    made_by = "--pipeline=ensemble or final_fit, with the settings that it was made with"

    made: str
    """Time in UTC, ISO 8601."""
    submission: str
    """See :func:`receipt_ocr.contest.submission.identify_submission`."""
    experiment: str
    members: tuple[SubmissionMember, ...]
    kind: Literal["ensemble", "final"] = "ensemble"
    sources: dict[str, str] | None = None
    """Member -> fingerprint of its detector; None in records of earlier versions, as ``mean``."""
    mean: MeanKind | None = None
    thresholds: str | None = None
    """Source of the post-processing, as in :class:`ChosenPostprocess`."""
    postprocess: PostprocessSettings | None = None
    validation_hmean: float | None
    """Mean over the members out of fold."""
    holdout_hmean: float | None
    test_hmean: float | None = None


class MemberGap(Record):
    """A submission's score minus the H-means that were known of one member."""

    name: str
    run_id: str | None
    gap: float | None = None
    """Minus its out-of-fold H-mean: negative where the submission did worse."""
    holdout_gap: float | None = None


class LeaderboardScore(Record):
    """A score of a submission, with its gaps to the submission's own H-means."""

    made_by = "--pipeline=leaderboard or score_submission"

    submission: str
    experiment: str
    source: Literal["leaderboard", "test truth"]
    hmean: float
    precision: float | None = None
    recall: float | None = None
    gap: float | None = None
    holdout_gap: float | None = None
    members: tuple[MemberGap, ...] = ()

    @property
    def name(self) -> str:
        """Name of the record, which tells a leaderboard's score from the test truth's."""
        return self.submission + ("" if self.source == "leaderboard" else "_truth")


class TrainingRecord(Record):
    """One training, to be compared with others without opening the network."""

    made_by = "--pipeline=train_fold"

    best_epoch: int
    precision: float | None
    """Validation score of the best epoch, as the next two; None without validation pages."""
    recall: float | None
    hmean: float | None
    epochs: int
    seconds: float | None
    """All epochs with their validation; None where some were not timed."""
    stopped_by: str
    """Why no further epoch was trained."""
    parameters: Mapping[str, int]
    """Part of the network -> number of its parameters."""
    checkpoint_bytes: int
    inference_seconds_per_page: float | None = None
    """Network and decoding of a page in the last validation, the median; None without one."""
    peak_memory_mib: float | None = None
    """Most memory that the training held, of the GPU where there is one."""


class FinalEpochs(Record):
    """Number of epochs that the final fit trains, with the folds' best epochs."""

    made_by = "--pipeline=final_fit"

    epochs: int
    peaks: dict[str, int]


class RunRecord(Record):
    """The run that wrote an entry of the catalog."""

    made_by = "the pipeline that writes this entry"

    run_id: str | None
    """MLflow run; None without MLflow."""
    pipeline: str
    commit: str | None
    saved: str
    """Time in UTC, ISO 8601."""
