"""Nodes of the leaderboard stage."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from receipt_ocr.contest.settings import LeaderboardSettings
from receipt_ocr.datasets.records import Records
from receipt_ocr.pipelines.leaderboard.tracking import log_score
from receipt_ocr.records import LeaderboardScore, SubmissionRecord

Scores = dict[str, LeaderboardScore]
"""Name of the record -> the score."""


def find_submission(
    settings: LeaderboardSettings, submission_records: Records[SubmissionRecord]
) -> str:
    """Find the submission that is meant: by id, by name of a file, or by a file's content."""
    from receipt_ocr.contest.leaderboard import find_id
    from receipt_ocr.contest.submission import identify_submission, read_submission

    reference = settings.named
    if (file := Path(reference)).is_file():
        reference = identify_submission(read_submission(file))
    return find_id(reference, submission_records, submission_records.faults)


def record_leaderboard(
    settings: LeaderboardSettings, submission: str, submission_records: Records[SubmissionRecord]
) -> Scores:
    """Record the leaderboard's score with its gaps, and note it in the runs of all who voted."""
    from receipt_ocr.contest.leaderboard import score_record

    score = score_record(settings, submission_records[submission], "leaderboard")
    log_score(score)
    return {score.name: score}


def score_submission(
    submission: str,
    submissions: dict[str, Callable[[], pd.DataFrame]],
    submission_records: Records[SubmissionRecord],
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> Scores:
    """Score the submission by the truth of the test pages, and note that in the runs as well."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.contest.leaderboard import score_copy

    truths = prepare_truths(pages, words, "test")
    score = score_copy(submission_records[submission], submissions, truths)
    log_score(score)
    return {score.name: score}
