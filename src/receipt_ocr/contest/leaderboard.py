"""What a leaderboard said of a submission, tied to the detectors that made it."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from receipt_ocr.contest.settings import LeaderboardSettings

__all__ = [
    "SCORE_KEYS",
    "SUBMISSION_KEYS",
    "compute_gaps",
    "describe_making",
    "describe_submission",
    "find_submission",
    "list_figures",
    "name_figures",
    "part_records",
    "score_record",
]

Record = dict[str, Any]

SHORTEST = 5
"""Characters of an id that may stand for all of them."""

ENSEMBLE = "ensemble"

SUBMISSION_KEYS = (
    "made", "submission", "experiment", "members", "validation_hmean", "holdout_hmean"
)  # fmt: skip
"""What the record of a submission must hold; each of its members :data:`MEMBER_KEYS`."""

MEMBER_KEYS = ("name", "run_id", "validation_hmean", "holdout_hmean")

SCORE_KEYS = ("submission", "experiment", "source", "hmean")
"""What the record of a score must hold."""

MAY_BE_UNKNOWN = ("run_id", "validation_hmean", "holdout_hmean")
"""Keys that are always there, with None where nothing is known."""

_ID = re.compile(r"s[0-9a-f]{12}")


def describe_submission(
    submission: str,
    experiment: str,
    members: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Any],
    scores: pd.DataFrame | None,
) -> Record:
    """The record of a submission: who made it, how, and what was known of it beforehand.

    Args:
        submission: Its id.
        experiment: Whose submission it is.
        members: Of each detector that votes ``name``, ``experiment``, ``fold`` (None for a
            detector of all pages), ``weight`` and ``run_id``.
        chosen: ``source`` and ``postprocess`` that the maps were read with.
        scores: A row a member and subset, at that post-processing; None where nothing was scored.

    Returns:
        All of it as plain values. ``validation_hmean`` is the mean over the members out of fold,
        ``holdout_hmean`` that of the ensemble, each None where there is none; members have theirs
        under the same names.
    """
    voting = [
        {
            **member,
            "validation_hmean": _hmean(scores, str(member["name"]), "out_of_fold"),
            "holdout_hmean": _hmean(scores, str(member["name"]), "holdout"),
        }
        for member in members
    ]
    judged = [m["validation_hmean"] for m in voting if m["validation_hmean"] is not None]
    return {
        "submission": submission,
        "experiment": experiment,
        "members": voting,
        "kind": "final" if any(member["fold"] is None for member in members) else "ensemble",
        "sources": chosen.get("members", {}).get("sources", {}),
        "mean": chosen.get("members", {}).get("mean"),
        "thresholds": chosen["source"],
        "postprocess": dict(chosen["postprocess"]),
        "validation_hmean": sum(judged) / len(judged) if judged else None,
        "holdout_hmean": _hmean(scores, ENSEMBLE, "holdout"),
        "test_hmean": _hmean(scores, ENSEMBLE, "test"),
    }


def describe_making(submission: Mapping[str, Any]) -> str:
    """What to run so that a submission is made once more, as far as its record tells.

    Args:
        submission: Its record, whatever it lacks.
    """
    name, _, tta = str(submission.get("experiment") or "").partition("@")
    members = submission.get("members")
    members = members if isinstance(members, list) else []
    names = [str(one.get("name")) for one in members if isinstance(one, dict)]
    is_final = names == ["final"]
    voting = "" if is_final else "+".join(names)
    given = {"experiment": name, "tta": tta, "members": voting}
    params = ",".join(f"{key}={value}" for key, value in given.items() if value)
    pipeline = "final_fit" if is_final else "ensemble"
    typed = f" --params {params}" if params else ""
    return f"--pipeline={pipeline}{typed}, with the settings that it was made with"


def find_submission(reference: str, records: Mapping[str, Record]) -> str:
    """The id that a text stands for.

    Args:
        reference: The id or its first characters, with or without its ``s``, or a text that holds
            the id, such as the name of a file ``submission_<id>.csv`` wherever it lies now.
        records: Id -> record of every submission, whatever it lacks.

    Raises:
        ValueError: If nothing or several things fit; what there is is listed.
    """
    named = _ID.findall(reference)
    if named and named[-1] in records:
        return str(named[-1])
    for beginning in (reference, f"s{reference}"):
        fitting = [known for known in records if known.startswith(beginning)]
        if len(beginning) >= SHORTEST and len(fitting) == 1:
            return fitting[0]
    known = ", ".join(
        f"{name} ({record.get('experiment', 'unknown')})" for name, record in records.items()
    )
    raise ValueError(
        f"no submission {reference!r}; "
        + (f"there are: {known}" if known else "there is none yet: run --pipeline=ensemble")
    )


def part_records(
    records: Mapping[str, Record], needed: Collection[str]
) -> tuple[dict[str, Record], dict[str, str]]:
    """Records that can be used, and what the others lack.

    Args:
        records: Name -> record, of submissions or of scores.
        needed: :data:`SUBMISSION_KEYS` or :data:`SCORE_KEYS`.

    Returns:
        The sound records; and name of another -> the keys it lacks, or whose value is of another
        kind than the key's (an ``hmean`` that is no finite number), such as
        ``made, members[0].run_id``.
    """
    lacking = {name: ", ".join(_list_lacking(record, needed)) for name, record in records.items()}
    sound = {name: record for name, record in records.items() if not lacking[name]}
    return sound, {name: keys for name, keys in lacking.items() if keys}


def score_record(settings: LeaderboardSettings, submission: Record, source: str) -> Record:
    """A score of a submission with its gaps.

    Args:
        settings: The score, as fractions.
        submission: Record of the submission.
        source: ``leaderboard``, or ``test truth``.

    Returns:
        Score, source, and ``gap`` and ``holdout_gap`` (score minus what was known beforehand, see
        :func:`compute_gaps`), with the same for every member.
    """
    score = settings.fractions
    members = [
        {"name": m["name"], "run_id": m["run_id"], **compute_gaps(score["hmean"], m)}
        for m in submission["members"]
    ]
    return {
        "submission": submission["submission"],
        "experiment": submission["experiment"],
        "source": source,
        **score,
        **compute_gaps(score["hmean"], submission),
        "members": members,
    }


def compute_gaps(hmean: float | None, known: Mapping[str, Any]) -> dict[str, float | None]:
    """``gap`` to the validation H-mean and ``holdout_gap``: negative where the score is lower.

    Args:
        hmean: Of the leaderboard.
        known: With ``validation_hmean`` and ``holdout_hmean``, None where there is none.
    """
    return {
        gap: None if hmean is None or known[name] is None else hmean - float(known[name])
        for gap, name in (("gap", "validation_hmean"), ("holdout_gap", "holdout_hmean"))
    }


def name_figures(record: Record, gaps: Mapping[str, Any]) -> dict[str, float]:
    """Figures for MLflow: ``leaderboard_hmean`` and so on with ``gap`` and ``holdout_gap``.

    What the truth of the test pages says has names of its own (``truth_hmean``, ``truth_gap``), so
    that it never passes for a leaderboard.

    Args:
        record: Of a score.
        gaps: ``gap`` and ``holdout_gap``, of the submission or of a member.
    """
    told = record["source"] == "leaderboard"
    prefix, of_gap = ("leaderboard_", "") if told else ("truth_", "truth_")
    figures = {f"{prefix}{name}": record[name] for name in ("hmean", "precision", "recall")}
    figures |= {f"{of_gap}{name}": gaps[name] for name in ("gap", "holdout_gap")}
    return {name: float(value) for name, value in figures.items() if value is not None}


def list_figures(record: Record) -> Iterator[tuple[str | None, dict[str, float]]]:
    """Run id -> figures for MLflow, of each member of a score record.

    A run is that of a training, whose own figures are of one plain look at each page. Those of a
    member that looked at pages in another way bear its name: ``flips/leaderboard_hmean``.
    """
    for member in record["members"]:
        experiment = member["name"].rpartition("/")[0] or record["experiment"]
        look = experiment.partition("@")[2]
        figures = name_figures(record, member)
        yield (
            member["run_id"],
            {f"{look}/{name}" if look else name: value for name, value in figures.items()},
        )


def _hmean(scores: pd.DataFrame | None, member: str, subset: str) -> float | None:
    if scores is None:
        return None
    own = scores[(scores["member"] == member) & (scores["subset"] == subset)]["hmean"].dropna()
    return None if own.empty else float(own.iloc[0])


def _list_lacking(record: Mapping[str, Any], needed: Collection[str]) -> Iterator[str]:
    for key in needed:
        if key not in record or not _is_sound(key, record[key]):
            yield key
        elif key == "members":
            for place, member in enumerate(record[key]):
                content = member if isinstance(member, dict) else {}
                yield from (f"members[{place}].{k}" for k in _list_lacking(content, MEMBER_KEYS))


def _is_sound(key: str, value: Any) -> bool:
    if value is None:
        return key in MAY_BE_UNKNOWN
    if key == "members":
        return isinstance(value, list)
    if key.endswith("hmean"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, str)
