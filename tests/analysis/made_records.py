"""Records and tables as the stages leave them, with the values that a test cares about."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from receipt_ocr.analysis.word_errors import WORD_COLUMNS
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


def list_pages(
    member: str, subset: str, hmeans: Sequence[float] | np.ndarray, first: int = 0
) -> pd.DataFrame:
    """Pages p00, p01, ...: precision lies 0.02 above the H-mean, recall 0.01 below it."""
    values = np.asarray(hmeans, dtype=float)
    pages = [f"p{first + i:02d}" for i in range(len(values))]
    scores = {"precision": values + 0.02, "recall": values - 0.01, "hmean": values}
    return pd.DataFrame({"member": member, "subset": subset, "page": pages, **scores})


def history(*hmeans: float) -> pd.DataFrame:
    """A training whose pages grow after the first epoch."""
    rows = len(hmeans)
    return pd.DataFrame(
        {"epoch": np.arange(rows, dtype=float), "hmean": hmeans, "precision": 0.9, "recall": 0.9}
    ).assign(loss=np.linspace(3, 1, rows), size=np.where(np.arange(rows) < 1, 640.0, 960.0))


def word(outcome: str = "found", page: str | int = "a", **changes: Any) -> dict[str, Any]:
    """What became of a word of 4 characters; a false or merged detection has none."""
    is_true = outcome not in {"false", "merged"}
    usual = {"characters": 4 if is_true else 0, "words_of_page": 9}
    usual |= {"height": 10.0, "length": 40.0, "tilt": 0.0}
    common = {"member": "fold_0", "subset": "out_of_fold", "page": str(page), "outcome": outcome}
    return {**common, "is_true": is_true, **usual, **changes}


def list_words(*words: dict[str, Any]) -> pd.DataFrame:
    """The words as a table."""
    return pd.DataFrame(words, columns=WORD_COLUMNS)
