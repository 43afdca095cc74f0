"""Nodes of the leaderboard stage."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from receipt_ocr.contest.settings import LeaderboardSettings

__all__ = ["find_submission", "record_leaderboard", "score_submission"]

log = logging.getLogger(__name__)

Records = dict[str, dict[str, Any]]

SUBMISSIONS = "08_reporting/submissions"
"""Folder of the workspace that holds a copy of every submission and its record."""


def find_submission(leaderboard: LeaderboardSettings, submission_records: Records) -> str:
    """The id of the submission that is meant: by id, by name of a file, or by a file's content.

    Raises:
        ValueError: If there is none, or its record is damaged.
    """
    from receipt_ocr.contest.leaderboard import SUBMISSION_KEYS, describe_making, part_records
    from receipt_ocr.contest.leaderboard import find_submission as find
    from receipt_ocr.contest.submission import identify_submission

    reference = leaderboard.named
    if (file := Path(reference)).is_file():
        reference = identify_submission(_read(file))
    try:
        found = find(reference, submission_records)
    except ValueError as error:
        faults: dict[str, str] = getattr(submission_records, "faults", {})
        unread = "".join(f"\n{address} {fault}" for address, fault in faults.items())
        raise ValueError(f"{error}{unread}") from error
    if lacking := part_records({found: submission_records[found]}, SUBMISSION_KEYS)[1]:
        raise ValueError(
            f"{SUBMISSIONS}/{found}.json lacks {lacking[found]}; write the record again: "
            f"{describe_making(submission_records[found])}"
        )
    return found


def record_leaderboard(
    leaderboard: LeaderboardSettings, submission: str, submission_records: Records
) -> Records:
    """The leaderboard's score with its gaps, noted in the runs of all who voted."""
    if leaderboard.hmean is None:
        raise ValueError("which score? add hmean=0.9625,precision=0.9667,recall=0.9599 to --params")
    return _record(leaderboard, submission_records[submission], "leaderboard")


def score_submission(
    submission: str,
    submissions: dict[str, Callable[[], pd.DataFrame]],
    submission_records: Records,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> Records:
    """The same, computed from the truth of the test pages where it is at hand."""
    from receipt_ocr.analysis.scores import prepare_truths, score_polygons
    from receipt_ocr.contest.leaderboard import describe_making
    from receipt_ocr.contest.submission import parse_submission

    truths = prepare_truths(pages, words, "test")
    if not truths:
        raise ValueError(
            "the truth of the test pages is withheld: nothing can be scored here. Record what the "
            "leaderboard says with --pipeline=leaderboard"
        )
    record, copy = submission_records[submission], f"submission_{submission}"
    if copy not in submissions:
        raise ValueError(
            f"{SUBMISSIONS}/{copy}.csv is gone; put it back, or make it again: "
            f"{describe_making(record)}"
        )
    score = score_polygons(parse_submission(submissions[copy]()), truths)
    given = LeaderboardSettings(hmean=score.hmean, precision=score.precision, recall=score.recall)
    return _record(given, record, "test truth")


def _record(
    settings: LeaderboardSettings, submission: dict[str, Any], source: str
) -> dict[str, dict[str, Any]]:
    from receipt_ocr.contest.leaderboard import list_figures, name_figures, score_record
    from receipt_ocr.tracking.layout import is_tracked
    from receipt_ocr.tracking.runs import log_active, log_experiment, log_figures, place_score

    record = score_record(settings, submission, source)
    own = name_figures(record, record)
    place_score(record["experiment"])
    log_active(own)
    log_experiment(record["experiment"], own)
    voting = list_figures(record) if is_tracked() else ()
    told = [log_figures(run, figures) for run, figures in voting if run]
    gaps = ", ".join(
        f"{name} {record[key]:+.4f}"
        for name, key in (("to validation", "gap"), ("to holdout", "holdout_gap"))
        if record[key] is not None
    )
    log.info(
        "Submission %s of %s: %s H-mean %.4f; gap %s; written to %d of %d runs",
        *(record["submission"], record["experiment"], source, record["hmean"]),
        *(gaps or "unknown", sum(told), len(record["members"])),
    )
    suffix = "" if source == "leaderboard" else "_truth"
    return {f"{record['submission']}{suffix}": record}


def _read(file: Path) -> pd.DataFrame:
    """A submission as the contest takes it, CSV or JSON.

    Raises:
        ValueError: If it is neither.
    """
    try:
        if file.suffix.lower() == ".json":
            return _tabulate(file.read_text(encoding="utf-8"))
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        return table[["filename", "polygons"]]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file} is no submission ({error}); give its CSV or JSON") from error


def _tabulate(text: str) -> pd.DataFrame:
    import json

    from receipt_ocr.contest.submission import tabulate_submission

    content = json.loads(text)
    try:
        return tabulate_submission(content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            'it must be {"images": {page: {"words": {number: {"points": [[x, y], ...]}}}}}'
        ) from error
