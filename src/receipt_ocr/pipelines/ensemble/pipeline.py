"""Wiring of the ensemble stage."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.ensemble.nodes import (
    choose_postprocess,
    detect_words,
    gather_members,
    join_tables,
    publish_scores,
    score_members,
    score_out_of_fold,
    score_untuned,
    vote,
    weigh_members,
)
from receipt_ocr.receipts.settings import FOLD_COUNT

__all__ = ["create_pipeline", "inputs_of_members"]

SETTINGS, RECIPE = "params:ensemble", "params:experiments"
CHOSEN, TABLES = "chosen_postprocess", ["pages", "words"]
KINDS = ("out_of_fold", "holdout", "test")
RESULTS = ("page_scores", "words", "worst")


def inputs_of_members(*kinds: str) -> list[str]:
    """What :func:`gather_members` takes for these kinds of maps."""
    maps = [f"fold_{fold}_{kind}_maps" for kind in kinds for fold in range(FOLD_COUNT)]
    return [SETTINGS, "params:test_time", "folds", "pages", "experiment_store", *maps]


def create_pipeline(**_: Any) -> Pipeline:
    """Average the members' maps, find the words in the mean, score it beside each member."""
    gathering = inputs_of_members(*KINDS)
    weighing = [SETTINGS, RECIPE, "members", *TABLES]
    choosing = [SETTINGS, RECIPE, "members", "member_weights"]
    voting = [SETTINGS, "members", "member_weights"]
    holdout, test = "ensemble_holdout_maps", "ensemble_test_maps"
    return Pipeline(
        [
            Node(gather_members(*KINDS), gathering, "members", name="gather_members"),
            Node(weigh_members, weighing, "member_weights", name="weigh_members"),
            Node(
                choose_postprocess,
                [*choosing, "tuned_postprocess", "holdout_postprocess"],
                CHOSEN,
                name="choose_postprocess",
            ),
            Node(vote("holdout"), voting, holdout, name="vote_on_holdout"),
            Node(vote("test"), voting, test, name="vote_on_test"),
            Node(detect_words, [test, CHOSEN], "test_detections", name="detect_words"),
            Node(
                score_out_of_fold,
                [CHOSEN, "members", *TABLES],
                ["out_of_fold_page_scores", "out_of_fold_words", "out_of_fold_worst"],
                name="score_out_of_fold",
            ),
            Node(
                score_members("holdout"),
                [CHOSEN, "members", holdout, *TABLES],
                ["holdout_page_scores", "holdout_words", "holdout_worst"],
                name="score_holdout",
            ),
            Node(
                score_members("test"),
                [CHOSEN, "members", test, *TABLES],
                ["test_page_scores", "test_words", "test_worst"],
                name="score_test",
            ),
            Node(
                score_untuned,
                [CHOSEN, "members", holdout, test, *TABLES],
                "untuned_page_scores",
                name="score_untuned",
            ),
            Node(
                join_tables,
                [f"{kind}_{table}" for kind in KINDS for table in RESULTS],
                ["page_scores", "scores", "word_outcomes", "worst_detections"],
                name="join_scores",
            ),
            Node(
                publish_scores,
                [RECIPE, "params:test_time", CHOSEN, "scores", "experiment_store"],
                None,
                name="publish_scores",
            ),
        ],
        namespace="ensemble",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
