"""Wiring of the ensemble stage."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.identity import fold_name
from receipt_ocr.pipelines.ensemble import nodes
from receipt_ocr.receipts.settings import FOLD_COUNT

SETTINGS, RECIPE, TTA = "params:ensemble", "params:experiments", "params:test_time"
CHOSEN, TABLES = "chosen_postprocess", ["pages", "words"]
HOLDOUT, TEST = "ensemble_holdout_maps", "ensemble_test_maps"
KINDS = ("out_of_fold", "holdout", "test")
PARTS = {kind: [f"{kind}_{table}" for table in ("page_scores", "words", "worst")] for kind in KINDS}
JOINED = ["page_scores", "scores", "word_outcomes", "worst_detections"]


def inputs_of_members(*kinds: str) -> list[str]:
    """Inputs of :func:`gather_members` for these kinds of maps."""
    maps = [f"{fold_name(fold)}_{kind}_maps" for kind in kinds for fold in range(FOLD_COUNT)]
    return [SETTINGS, TTA, "folds", "pages", "experiment_store", *maps]


def create_pipeline() -> Pipeline:
    """Average the members' maps, find the words in the mean, score it beside each member."""
    return Pipeline(
        [*_vote(), *_score()],
        namespace="ensemble",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )


def _vote() -> list[Node]:
    gathering, weighing = inputs_of_members(*KINDS), [SETTINGS, RECIPE, "members", *TABLES]
    voting = [SETTINGS, "members", "member_weights"]
    tuned = ["tuned_postprocess", "holdout_postprocess"]
    choosing = [SETTINGS, RECIPE, "members", "member_weights", *tuned]
    return [
        Node(nodes.gather_members(*KINDS), gathering, "members", name="gather_members"),
        Node(nodes.weigh_members, weighing, "member_weights", name="weigh_members"),
        Node(nodes.pick_postprocess, choosing, CHOSEN, name="choose_postprocess"),
        Node(nodes.average_members("holdout"), voting, HOLDOUT, name="vote_on_holdout"),
        Node(nodes.average_members("test"), voting, TEST, name="vote_on_test"),
        Node(nodes.detect_words, [TEST, CHOSEN], "test_detections", name="detect_words"),
    ]


def _score() -> list[Node]:
    judged, alone = [CHOSEN, "members"], [CHOSEN, "members", *TABLES]
    on_holdout, on_test = [*judged, HOLDOUT, *TABLES], [*judged, TEST, *TABLES]
    untuned = [*judged, HOLDOUT, TEST, *TABLES]
    own, holdout, test = PARTS.values()
    publishing = [RECIPE, TTA, CHOSEN, "scores", "experiment_store"]
    return [
        Node(nodes.score_out_of_fold, alone, own, name="score_out_of_fold"),
        Node(nodes.score_ensemble("holdout"), on_holdout, holdout, name="score_holdout"),
        Node(nodes.score_ensemble("test"), on_test, test, name="score_test"),
        Node(nodes.score_untuned, untuned, "untuned_page_scores", name="score_untuned"),
        Node(nodes.join_tables, [*own, *holdout, *test], JOINED, name="join_scores"),
        Node(nodes.publish_scores, publishing, None, name="publish_scores"),
    ]
