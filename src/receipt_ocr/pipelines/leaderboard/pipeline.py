"""Wiring of the leaderboard stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.leaderboard.nodes import (
    find_submission,
    record_leaderboard,
    score_submission,
)

__all__ = ["create_pipeline", "create_scoring_pipeline"]

SETTINGS, MADE, TOLD = "params:leaderboard", "submission_records", "leaderboard_records"


def create_pipeline(**_: Any) -> Pipeline:
    """Record what a leaderboard said."""
    inputs = [SETTINGS, "submission_id", MADE]
    return Pipeline([_find(), Node(record_leaderboard, inputs, TOLD, name="record_leaderboard")])


def create_scoring_pipeline(**_: Any) -> Pipeline:
    """Score a submission by the truth of the test pages."""
    inputs = ["submission_id", "submissions", MADE, "pages", "words"]
    return Pipeline([_find(), Node(score_submission, inputs, TOLD, name="score_submission")])


def _find() -> Node:
    return Node(find_submission, [SETTINGS, MADE], "submission_id", name="find_submission")
