"""Records as the stages leave them, with the values that a test cares about."""

from typing import Any

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.records import (
    ChosenPostprocess,
    LeaderboardScore,
    SubmissionMember,
    SubmissionRecord,
    TrainingRecord,
    TunedPostprocess,
    Voting,
)


def choose(
    names: tuple[str, ...] = ("fold_0", "fold_1"),
    weights: tuple[float, ...] | None = None,
    source: Any = "recipe",
    thresh: float = 0.3,
    **voting: Any,
) -> ChosenPostprocess:
    """Post-processing and members that scores are of; each detector is named after its member."""
    shares = weights or tuple(1 / len(names) for _ in names)
    sources = {name: f"detector of {name}" for name in names}
    usual: dict[str, Any] = {"sources": sources, "mean": "probability"}
    return ChosenPostprocess(
        source=source,
        postprocess=PostprocessSettings(thresh=thresh),
        members=Voting(names=names, weights=shares, **(usual | voting)),
    )


def submit(
    submission: str, chosen: ChosenPostprocess, made: str = "2026-01-01", **changes: Any
) -> SubmissionRecord:
    """A submission of such an ensemble, except for the changes."""
    assert chosen.members is not None
    voting = chosen.members
    members = tuple(
        SubmissionMember(
            name=name, experiment="lite0", fold=0, weight=weight, run_id=None,
            validation_hmean=None, holdout_hmean=None,
        )
        for name, weight in zip(voting.names, voting.weights, strict=True)
    )  # fmt: skip
    record: dict[str, Any] = {
        "made": made, "submission": submission, "experiment": "lite0", "members": members,
        "sources": voting.sources, "mean": voting.mean, "thresholds": chosen.source,
        "postprocess": chosen.postprocess, "validation_hmean": None, "holdout_hmean": None,
    }  # fmt: skip
    return SubmissionRecord(**(record | changes))


def tell(
    hmean: float, submission: str = "s1", source: Any = "leaderboard", **more: Any
) -> LeaderboardScore:
    """A score of a submission."""
    given = {"submission": submission, "experiment": "lite0", "source": source, "hmean": hmean}
    return LeaderboardScore(**(given | more))


def train(encoder: int = 100, seconds: float | None = 60.0, **more: Any) -> TrainingRecord:
    """A training; the rest of the network has 23 parameters."""
    given: dict[str, Any] = {
        "best_epoch": 1, "precision": 0.9, "recall": 0.9, "hmean": 0.9, "epochs": 3,
        "seconds": seconds, "stopped_by": "3 epochs", "checkpoint_bytes": 4000,
        "parameters": {"encoder": encoder, "decoder": 20, "head": 3},
    }  # fmt: skip
    return TrainingRecord(**(given | more))


def tune(members: tuple[str, ...] = ("fold_0", "fold_1"), **more: Any) -> TunedPostprocess:
    """What a search has found."""
    given: dict[str, Any] = {
        "postprocess": PostprocessSettings(thresh=0.1), "members": members, "sources": {},
        "pages": 6, "chosen_hmean": 0.91, "cross_fitted_hmean": 0.905, "recipe_hmean": 0.89,
    }  # fmt: skip
    return TunedPostprocess(**(given | more))
