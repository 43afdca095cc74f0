"""Wiring of the leaderboard stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.leaderboard import nodes

SETTINGS, MADE, TOLD = "params:leaderboard", "submission_records", "leaderboard_records"


def create_pipeline() -> Pipeline:
    """Record what a leaderboard said."""
    inputs = [SETTINGS, "submission_id", MADE]
    record = Node(nodes.record_leaderboard, inputs, TOLD, name="record_leaderboard")
    return Pipeline([_find(), record])


def create_scoring_pipeline() -> Pipeline:
    """Score a submission by the truth of the test pages."""
    inputs = ["submission_id", "submissions", MADE, "pages", "words"]
    score = Node(nodes.score_submission, inputs, TOLD, name="score_submission")
    return Pipeline([_find(), score])


def _find() -> Node:
    return Node(nodes.find_submission, [SETTINGS, MADE], "submission_id", name="find_submission")
