"""Records of submissions and of the scores that a leaderboard gave them."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

import pandas as pd

from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.contest.submission import parse_submission
from receipt_ocr.evaluation.cleval import TruthWords, score_pages, score_prepared
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.records import (
    FINAL,
    ChosenPostprocess,
    LeaderboardScore,
    MemberGap,
    SubmissionMember,
    SubmissionRecord,
)

ENSEMBLE = "ensemble"
SHORTEST = 5  # characters of an id that may stand for all of them

_ID = re.compile(r"s[0-9a-f]{12}")


def describe_members(
    chosen: ChosenPostprocess,
    experiment: str,
    find_run: Callable[[str, int], str | None],
    scores: pd.DataFrame,
) -> list[SubmissionMember]:
    """List the detectors that voted, with what was known of each.

    ``find_run`` gives the MLflow run that trained a fold of an experiment. The selected
    ``experiment`` is not part of its own folds' names. ``scores`` has a row a member and subset.
    """
    members = []
    shares = chosen.members.shares if chosen.members else {}
    for name, weight in shares.items():
        member = Member.parse(name)
        owner = str(member.source or experiment)
        members.append(
            SubmissionMember(
                name=name,
                experiment=owner,
                fold=member.fold,
                weight=weight,
                run_id=find_run(owner, member.fold),
                validation_hmean=_find_hmean(scores, name, "out_of_fold"),
                holdout_hmean=_find_hmean(scores, name, "holdout"),
            )
        )
    return members


def describe_submission(
    submission: str,
    experiment: str,
    members: Sequence[SubmissionMember],
    chosen: ChosenPostprocess,
    scores: pd.DataFrame | None,
) -> SubmissionRecord:
    """Make the record of a submission (by its id) that is made now.

    ``scores`` has a row a member and subset at the chosen post-processing; None where nothing was
    scored.
    """
    known = [one.validation_hmean for one in members if one.validation_hmean is not None]
    voting = chosen.members
    return SubmissionRecord(
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        submission=submission,
        experiment=experiment,
        members=tuple(members),
        kind="final" if any(one.fold is None for one in members) else "ensemble",
        sources=voting.sources if voting else {},
        mean=voting.mean if voting else None,
        thresholds=chosen.source,
        postprocess=chosen.postprocess,
        validation_hmean=sum(known) / len(known) if known else None,
        holdout_hmean=_find_hmean(scores, ENSEMBLE, "holdout"),
        test_hmean=_find_hmean(scores, ENSEMBLE, "test"),
    )


def describe_making(submission: SubmissionRecord) -> str:
    """Say which command makes a submission again, as far as its record tells."""
    names = [member.name for member in submission.members]
    params = ExperimentId.parse(submission.experiment).params
    is_final = names == [FINAL]
    if names and not is_final:
        params += f",members={'+'.join(names)}"
    pipeline = "final_fit" if is_final else "ensemble"
    return f"--pipeline={pipeline} --params {params}, with the settings that it was made with"


def find_id(
    reference: str,
    records: Mapping[str, SubmissionRecord],
    faults: Mapping[str, str] | None = None,
) -> str:
    """Find the id that a text stands for.

    Args:
        reference: The id or its first characters, with or without its ``s``, or a text that holds
            the id, such as the path of ``submission_<id>.csv``.
        records: Id -> record of every submission.
        faults: File of a damaged record -> what is wrong with it, and what to do.

    Raises:
        ValueError: If nothing or several things fit, or the record that fits is damaged.
    """
    damaged = {PurePosixPath(file).stem: f"{file} {why}" for file, why in (faults or {}).items()}
    found = _match(reference, [*records, *damaged])
    if found is not None and found in records:
        return found
    known = ", ".join(f"{name} ({record.experiment})" for name, record in records.items())
    listed = f"there are: {known}" if known else "there is none yet: run --pipeline=ensemble"
    unread = [damaged[found]] if found in damaged else damaged.values()
    raise ValueError("\n".join([f"no submission {reference!r}; {listed}", *unread]))


def score_record(
    settings: LeaderboardSettings,
    submission: SubmissionRecord,
    source: Literal["leaderboard", "test truth"],
) -> LeaderboardScore:
    """Record a score and its gaps; a ValueError asks for an H-mean that was not given."""
    score = {name: value for name, value in settings.fractions.items() if value is not None}
    if "hmean" not in score:
        raise ValueError("which score? add hmean=0.9625,precision=0.9667,recall=0.9599 to --params")
    hmean = score["hmean"]
    members = [
        MemberGap(name=member.name, run_id=member.run_id, **_compute_gaps(hmean, member))
        for member in submission.members
    ]
    return LeaderboardScore(
        submission=submission.submission,
        experiment=submission.experiment,
        source=source,
        members=tuple(members),
        **score,
        **_compute_gaps(hmean, submission),
    )


def score_copy(
    submission: SubmissionRecord,
    copies: Mapping[str, Callable[[], pd.DataFrame]],
    truths: Mapping[str, TruthWords],
) -> LeaderboardScore:
    """Score a submission by the truth of the test pages.

    ``copies`` maps ``submission_<id>`` to a function that reads the copy.

    Raises:
        ValueError: If the truth is withheld (``truths`` is empty), or the copy is gone.
    """
    if not truths:
        raise ValueError(
            "the truth of the test pages is withheld: nothing can be scored here. Record what the "
            "leaderboard says with --pipeline=leaderboard"
        )
    copy = f"submission_{submission.submission}"
    if copy not in copies:
        raise ValueError(
            f"{copy}.csv is gone from the folder of the submissions; put it back, or make it "
            f"again: {describe_making(submission)}"
        )
    found = parse_submission(copies[copy]())
    score = score_pages([score_prepared(one, found.get(page, [])) for page, one in truths.items()])
    given = LeaderboardSettings(hmean=score.hmean, precision=score.precision, recall=score.recall)
    return score_record(given, submission, "test truth")


def name_figures(score: LeaderboardScore, gaps: LeaderboardScore | MemberGap) -> dict[str, float]:
    """Name a score and the gaps of submission or member for MLflow: ``leaderboard_hmean``, ``gap``.

    A score by the test pages' truth is named ``truth_hmean``, so that it never passes for a
    leaderboard's.
    """
    is_told = score.source == "leaderboard"
    prefix, gap_prefix = ("leaderboard_", "") if is_told else ("truth_", "truth_")
    figures = {f"{prefix}{name}": getattr(score, name) for name in ("hmean", "precision", "recall")}
    figures |= {f"{gap_prefix}{name}": getattr(gaps, name) for name in ("gap", "holdout_gap")}
    return {name: value for name, value in figures.items() if value is not None}


def list_figures(score: LeaderboardScore) -> Iterator[tuple[str | None, dict[str, float]]]:
    """List run id and figures for MLflow, member by member.

    Under a TTA view the figures bear its name, ``flips/leaderboard_hmean``: plain names are for
    pages without augmentation.
    """
    for member in score.members:
        source = None if member.name == FINAL else Member.parse(member.name).source
        owner = source or ExperimentId.parse(score.experiment)
        prefix = "" if owner.is_plain else f"{owner.tta_view}/"
        figures = name_figures(score, member)
        yield member.run_id, {f"{prefix}{name}": value for name, value in figures.items()}


def _compute_gaps(
    hmean: float, known: SubmissionRecord | SubmissionMember
) -> dict[str, float | None]:
    """``gap`` to the out-of-fold H-mean and ``holdout_gap``: negative where ``hmean`` is lower."""
    beforehand = {"gap": known.validation_hmean, "holdout_gap": known.holdout_hmean}
    return {name: None if value is None else hmean - value for name, value in beforehand.items()}


def _find_hmean(scores: pd.DataFrame | None, member: str, subset: str) -> float | None:
    if scores is None:
        return None
    own = scores[(scores["member"] == member) & (scores["subset"] == subset)]["hmean"].dropna()
    return None if own.empty else float(own.iloc[0])


def _match(reference: str, known: Sequence[str]) -> str | None:
    """The one id that a text holds or begins; None where none or several fit."""
    named = _ID.findall(reference)
    if named and named[-1] in known:
        return str(named[-1])
    for beginning in (reference, f"s{reference}"):
        fitting = [name for name in known if name.startswith(beginning)]
        if len(beginning) >= SHORTEST and len(fitting) == 1:
            return fitting[0]
    return None
