"""Wiring of the leaderboard stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.leaderboard.nodes import (
    find_submission,
    record_leaderboard,
    score_submission,
)

__all__ = ["create_pipeline", "create_scoring_pipeline"]

SETTINGS, RECORDS = "params:leaderboard", "submission_records"


def create_pipeline(**_: Any) -> Pipeline:
    """Record what a leaderboard said."""
    return Pipeline(
        [
            _find(),
            Node(
                record_leaderboard,
                [SETTINGS, "submission_id", RECORDS],
                "leaderboard_records",
                name="record_leaderboard",
            ),
        ]
    )


def create_scoring_pipeline(**_: Any) -> Pipeline:
    """Score a submission by the truth of the test pages."""
    return Pipeline(
        [
            _find(),
            Node(
                score_submission,
                ["submission_id", "submissions", RECORDS, "pages", "words"],
                "leaderboard_records",
                name="score_submission",
            ),
        ]
    )


def _find() -> Node:
    return Node(find_submission, [SETTINGS, RECORDS], "submission_id", name="find_submission")
