"""Wiring of the ensemble stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ensemble.nodes import (
    check_members,
    choose_postprocess,
    detect_words,
    join_tables,
    score_members,
    score_out_of_fold,
    vote,
)
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline"]

MEMBERS = "params:ensemble"
POSTPROCESS = "chosen_postprocess"


def create_pipeline(**_: Any) -> Pipeline:
    """Average the members' maps, find the words in the mean, score it beside each member."""
    out_of_fold = _of_folds("out_of_fold_maps")
    holdout = _of_folds("holdout_maps")
    test = _of_folds("test_maps")
    tables = [MEMBERS, POSTPROCESS, "pages", "words"]
    return Pipeline(
        [
            Node(
                check_members,
                [MEMBERS, "folds", "pages", *out_of_fold, *holdout, *test],
                "members",
                name="check_members",
            ),
            Node(
                choose_postprocess,
                [MEMBERS, "params:experiments", "members", "tuned_postprocess"],
                POSTPROCESS,
                name="choose_postprocess",
            ),
            Node(
                vote,
                [MEMBERS, "members", *holdout],
                "ensemble_holdout_maps",
                name="vote_on_holdout",
            ),
            Node(
                vote,
                [MEMBERS, "members", *test],
                "ensemble_test_maps",
                name="vote_on_test",
            ),
            Node(
                detect_words,
                ["ensemble_test_maps", POSTPROCESS],
                "test_detections",
                name="detect_words",
            ),
            Node(
                score_out_of_fold,
                [*tables, *out_of_fold],
                "out_of_fold_page_scores",
                name="score_out_of_fold",
            ),
            Node(
                score_members("holdout"),
                [*tables, "ensemble_holdout_maps", *holdout],
                "holdout_page_scores",
                name="score_holdout",
            ),
            Node(
                score_members("test"),
                [*tables, "ensemble_test_maps", *test],
                "test_page_scores",
                name="score_test",
            ),
            Node(
                join_tables,
                ["out_of_fold_page_scores", "holdout_page_scores", "test_page_scores"],
                ["page_scores", "scores"],
                name="join_scores",
            ),
        ]
    )


def _of_folds(name: str) -> list[str]:
    return [f"fold_{fold}_{name}" for fold in range(FOLD_COUNT)]
