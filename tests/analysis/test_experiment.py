"""Experiments side by side: every figure from its table, and none where there is nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.experiment import (
    Experiment,
    Scores,
    judge_gap,
    list_gaps,
    stopped_early,
)
from receipt_ocr.records import SubmissionRecord
from tests.analysis.made_records import choose, history, list_pages, submit, tell, train, tune

TEST_PAGES = 50


CHOSEN = choose(source="tuned", weights=(0.75, 0.25))
SUBMITTED = submit("s1", CHOSEN)


TABLES = [
    list_pages("fold_0", "out_of_fold", [0.9, 0.8, 0.7]),
    list_pages("fold_1", "out_of_fold", [0.6], first=3),
    list_pages("wide/fold_0", "out_of_fold", [0.1, 0.1, 0.1, 0.1]),  # a guest of the ensemble
    list_pages("fold_0", "holdout", [0.5, 0.5]),
    list_pages("ensemble", "holdout", [0.91, 0.93]),
    list_pages("ensemble", "test", [0.95, 0.97]),
]


def whole(**more: Any) -> Experiment:
    given: Mapping[str, Any] = {
        "name": "lite0",
        "page_scores": pd.concat(TABLES, ignore_index=True),
        "histories": {"fold_0": history(0.5, 0.9, 0.9), "fold_1": history(0.5, 0.6, 0.7)},
        "trainings": {"fold_0": train(100), "fold_1": train(102, 90.0, peak_memory_mib=512.0)},
        "submissions": [SUBMITTED],
        "chosen": CHOSEN,
    }
    return Experiment(**{**given, **more})


def test_out_of_fold_pages_are_those_of_the_own_folds_and_others_the_ensembles() -> None:
    one = whole()
    assert one.means("out_of_fold") == pytest.approx(Scores(0.77, 0.74, 0.75))
    assert one.hmeans("out_of_fold").to_dict() == {"p00": 0.9, "p01": 0.8, "p02": 0.7, "p03": 0.6}
    assert one.means("holdout").hmean == pytest.approx(0.92)
    assert one.hmeans("test").to_dict() == {"p00": 0.95, "p01": 0.97}


def test_whose_pages_are_in_no_score_and_where_thresholds_come_from() -> None:
    assert (whole().thresholds, whole().external_members) == ("tuned", [])
    names = ("fold_0", "wide/fold_0", "wide@flips/fold_2")
    mixed = whole(chosen=choose(names, source="holdout"))
    assert (mixed.thresholds, mixed.external_members) == ("holdout", list(names[1:]))
    final = whole(chosen=choose().model_copy(update={"members": None}))
    with pytest.raises(ValueError, match="chosen_postprocess of lite0 names no members that vote"):
        _ = final.voting


def test_the_honest_score_is_that_of_tuned_thresholds_in_use() -> None:
    assert whole(tuned=tune()).cross_fitted_hmean == 0.905
    assert whole(tuned=tune(), chosen=choose(source="recipe")).cross_fitted_hmean is None
    assert whole().cross_fitted_hmean is None


def differ(*names: str, **changes: Any) -> SubmissionRecord:
    given: dict[str, Any] = {"source": "tuned", "weights": (0.75, 0.25)}
    return submit("s2", choose(names or ("fold_0", "fold_1"), **(given | changes)))


OTHERS = {
    "thresholds": differ(thresh=0.4),
    "weights": differ(weights=(0.5, 0.5)),
    "members": differ("fold_0", "fold_2"),
    "an external member": differ("fold_0", "wide/fold_1"),
    "a detector trained anew": differ(sources={"fold_0": "0", "fold_1": "1"}),
    "a mean of logits": differ(mean="logit"),
    "a final fit": submit("s2", CHOSEN, kind="final"),
    "nothing known": submit("s2", CHOSEN, postprocess=None),
}


@pytest.mark.parametrize("differing", OTHERS)
def test_a_submission_of_anything_else_is_not_that_of_the_scores(differing: str) -> None:
    other, told = OTHERS[differing], [tell(0.99, "s2"), tell(0.95)]
    one = whole(submissions=[SUBMITTED, other], leaderboard=told)
    assert (one.submission, one.score) == (SUBMITTED, told[1])
    alone = whole(submissions=[other], leaderboard=told)
    assert (alone.submission, alone.score) == (None, None)


def test_of_equal_submissions_the_latest_counts() -> None:
    again = submit("s2", CHOSEN)
    one = whole(submissions=[SUBMITTED, again], leaderboard=[tell(0.95)])
    assert (one.submission, one.score) == (again, None)


def test_a_record_that_is_older_than_some_of_its_keys_is_taken_at_its_word() -> None:
    old = submit("s1", CHOSEN, sources={}, mean=None)
    assert whole(submissions=[old]).submission == old


def test_the_score_is_that_of_a_leaderboard_and_not_the_highest() -> None:
    told = [tell(0.99, source="test truth"), tell(0.98, "s0"), tell(0.95)]
    assert whole(leaderboard=told).score == told[2]
    assert whole(leaderboard=told[:2]).score is None
    assert whole().score is None


def test_every_figure_of_an_experiment() -> None:
    told = tell(0.96, precision=0.97, recall=0.95, gap=0.22)
    row = whole(leaderboard=[told], tuned=tune())
    assert (row.name, row.thresholds, row.score) == ("lite0", "tuned", told)
    assert row.cost("parameters") == (123 + 125) / 2
    assert row.best_epoch == (1 + 2) / 2  # of equal epochs the first
    assert (row.cost("seconds"), row.cost("checkpoint_bytes")) == (75, 4000)
    assert (row.inference_seconds, row.cost("peak_memory_mib")) == (None, 512.0)
    assert row.cross_fitted_hmean == 0.905
    for subset, hmean in (("out_of_fold", 0.75), ("holdout", 0.92), ("test", 0.96)):
        assert row.means(subset) == pytest.approx(Scores(hmean + 0.02, hmean - 0.01, hmean))


def test_where_there_is_nothing_there_is_no_figure() -> None:
    bare = Experiment("bare", whole().page_scores.iloc[:0], {}, {}, choose())
    assert np.isnan([bare.means(subset) for subset in ("out_of_fold", "holdout", "test")]).all()
    costs = ("parameters", "seconds", "checkpoint_bytes", "peak_memory_mib")
    assert {bare.best_epoch, bare.inference_seconds, *map(bare.cost, costs)} == {None}
    partly = whole(
        histories={"fold_0": None, "fold_1": history(0.5, 0.4)},
        trainings={"fold_0": train(100, None), "fold_1": None},
    )
    assert (partly.cost("parameters"), partly.best_epoch, partly.cost("seconds")) == (123, 0, None)


def spread(**more: Any) -> Experiment:
    hmeans = np.random.default_rng(0).uniform(0.8, 1.0, 100).tolist()
    return whole(page_scores=list_pages("fold_0", "out_of_fold", hmeans), **more)


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [(0.01, "as expected"), (-0.01, "as expected"),
     (0.05, "higher than expected"), (-0.05, "lower than expected")],
)  # fmt: skip
def test_a_gap_is_judged_by_what_other_pages_would_do(gap: float, verdict: str) -> None:
    # Pages have the standard deviation 0.2 / sqrt(12) = 0.0577, the two means together
    # 0.0577 * sqrt(1 / 100 + 1 / 50) = 0.01: 95 % of the gaps lie within 0.0196.
    (found,) = list_gaps([spread(leaderboard=[tell(0.6, gap=gap)])], TEST_PAGES)
    # As recorded, whatever the scores are today.
    assert (found.told.hmean, found.told.gap) == (
        0.6,
        gap,
    )
    assert found.known == pytest.approx(0.6 - gap)
    assert found.chance is not None
    assert (found.chance.low, found.chance.high) == pytest.approx((-0.0196, 0.0196), rel=0.15)
    assert found.verdict == verdict


def test_gaps_without_validation_or_of_another_submission_are_listed() -> None:
    told = [tell(0.6), tell(0.7, "s0", gap=0.1), tell(0.8, source="test truth", gap=0.1)]
    found = list_gaps([spread(leaderboard=told)], TEST_PAGES)
    assert [(one.told.submission, one.known, one.verdict) for one in found] == [
        ("s1", None, "without validation"),
        ("s0", pytest.approx(0.6), "of an earlier submission"),
    ]


def test_without_either_score_or_pages_no_gap_is_judged() -> None:
    told = [tell(0.9, gap=0.01)]
    assert judge_gap(spread(leaderboard=told), TEST_PAGES) is not None
    assert judge_gap(spread(), TEST_PAGES) is None
    assert judge_gap(spread(leaderboard=[tell(0.9)]), TEST_PAGES) is None  # no validation
    assert judge_gap(spread(leaderboard=told, submissions=[]), TEST_PAGES) is None
    assert judge_gap(spread(leaderboard=told), 0) is None
    assert judge_gap(whole(page_scores=TABLES[1], leaderboard=told), TEST_PAGES) is None
    assert judge_gap(whole(page_scores=TABLES[4], leaderboard=told), TEST_PAGES) is None


def test_a_training_whose_patience_was_spent_has_stopped_early() -> None:
    assert stopped_early(train(stopped_by="patience of 3 epochs"))
    assert not stopped_early(train(stopped_by="30 epochs"))
    assert not stopped_early(None)
