"""Experiments side by side: every figure from its table, and none where there is nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.bootstrap import bootstrap_mean, leaderboard_interval
from receipt_ocr.analysis.experiment import (
    Experiment,
    judge_gap,
    stopped_early,
    tabulate_experiments,
)
from receipt_ocr.contest.leaderboard import describe_submission

TEST_PAGES = 50
SCORES = ("precision", "recall", "hmean")


def rows(member: str, subset: str, hmeans: list[float], first: int = 0) -> pd.DataFrame:
    """Precision lies 0.02 above the H-mean, recall 0.01 below it."""
    values = np.array(hmeans, dtype=float)
    return pd.DataFrame(
        {
            "member": member,
            "subset": subset,
            "page": [f"p{first + i}" for i in range(len(values))],
            "precision": values + 0.02,
            "recall": values - 0.01,
            "hmean": values,
        }
    )


def choose(source: str = "tuned", thresh: float = 0.3, **voting: Any) -> dict[str, Any]:
    """What an ensemble writes of the settings that its scores are of."""
    usual = {
        "names": ["fold_0", "fold_1"],
        "weights": [0.75, 0.25],
        "sources": {"fold_0": "detector 0", "fold_1": "detector 1"},
        "mean": "probability",
    }
    return {"source": source, "postprocess": {"thresh": thresh}, "members": usual | voting}


def submit(submission: str, chosen: dict[str, Any], fold: int | None = 0) -> dict[str, Any]:
    """The record of a submission of such an ensemble; without a fold, of a final fit."""
    voting = chosen["members"]
    members = [
        {"name": name, "experiment": "lite0", "fold": fold, "weight": weight, "run_id": None}
        for name, weight in zip(voting["names"], voting["weights"], strict=True)
    ]
    return describe_submission(submission, "lite0", members, chosen, None)


CHOSEN = choose()
SUBMITTED = submit("s1", CHOSEN)


def score(
    hmean: float, source: str = "leaderboard", submission: str = "s1", **more: Any
) -> dict[str, Any]:
    own = {"submission": submission, "source": source, "hmean": hmean, "gap": None}
    return {**own, "precision": None, "recall": None, **more}


def training(encoder: int, size: int, seconds: float | None) -> dict[str, Any]:
    parameters = {"encoder": encoder, "decoder": 20, "head": 3}
    return {"parameters": parameters, "checkpoint_bytes": size, "seconds": seconds}


def history(*hmeans: float) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(1, len(hmeans) + 1), "hmean": hmeans})


TABLES = [
    rows("fold_0", "out_of_fold", [0.9, 0.8, 0.7]),
    rows("fold_1", "out_of_fold", [0.6], first=3),
    rows("wide/fold_0", "out_of_fold", [0.1, 0.1, 0.1, 0.1]),  # a guest of the ensemble
    rows("fold_0", "holdout", [0.5, 0.5]),
    rows("ensemble", "holdout", [0.91, 0.93]),
    rows("ensemble", "test", [0.95, 0.97]),
]


def whole(**more: Any) -> Experiment:
    given: Mapping[str, Any] = {
        "name": "lite0",
        "page_scores": pd.concat(TABLES, ignore_index=True),
        "histories": {"fold_0": history(0.5, 0.9, 0.9), "fold_1": history(0.5, 0.6, 0.7)},
        "trainings": {"fold_0": training(100, 4000, 60.0), "fold_1": training(102, 5000, 90.0)},
        "submissions": [SUBMITTED],
        "chosen": CHOSEN,
    }
    return Experiment(**{**given, **more})


def test_out_of_fold_pages_are_those_of_the_own_folds_and_others_the_ensembles() -> None:
    one = whole()
    assert one.means("out_of_fold") == pytest.approx(
        {"precision": 0.77, "recall": 0.74, "hmean": 0.75}
    )
    assert one.hmeans("out_of_fold").to_dict() == {"p0": 0.9, "p1": 0.8, "p2": 0.7, "p3": 0.6}
    assert one.means("holdout")["hmean"] == pytest.approx(0.92)
    assert one.hmeans("test").to_dict() == {"p0": 0.95, "p1": 0.97}


def test_whose_pages_are_in_no_score_and_where_thresholds_come_from() -> None:
    assert (whole().thresholds, whole().guests) == ("tuned", [])
    names = ["fold_0", "wide/fold_0", "wide@flips/fold_2"]
    mixed = whole(chosen=choose("holdout", names=names))
    assert (mixed.thresholds, mixed.guests) == ("holdout", names[1:])
    unknown = whole(chosen={})
    assert (unknown.thresholds, unknown.guests, unknown.submission) == ("recipe", [], None)


OTHERS = {
    "thresholds": submit("s2", choose(thresh=0.4)),
    "weights": submit("s2", choose(weights=[0.5, 0.5])),
    "members": submit("s2", choose(names=["fold_0", "fold_2"])),
    "a guest": submit("s2", choose(names=["fold_0", "wide/fold_1"])),
    "a detector trained anew": submit("s2", choose(sources={"fold_0": "0", "fold_1": "1"})),
    "a mean of logits": submit("s2", choose(mean="logit")),
    "a final fit": submit("s2", CHOSEN, fold=None),
    "nothing known": {key: SUBMITTED[key] for key in ("submission", "members")},
}


@pytest.mark.parametrize("differing", OTHERS)
def test_a_submission_of_anything_else_is_not_that_of_the_scores(differing: str) -> None:
    other, told = OTHERS[differing], [score(0.99, submission="s2"), score(0.95)]
    one = whole(submissions=[SUBMITTED, other], leaderboard=told)
    assert (one.submission, one.score) == (SUBMITTED, told[1])
    alone = whole(submissions=[other], leaderboard=told)
    assert (alone.submission, alone.score) == (None, None)
    assert tabulate_experiments([alone], TEST_PAGES)["leaderboard_hmean"].isna().all()


def test_of_equal_submissions_the_latest_counts() -> None:
    again = submit("s2", CHOSEN)
    one = whole(submissions=[SUBMITTED, again], leaderboard=[score(0.95)])
    assert (one.submission, one.score) == (again, None)


def test_a_record_that_is_older_than_some_of_its_keys_is_taken_at_its_word() -> None:
    late = ("kind", "sources", "mean")
    old = {key: value for key, value in SUBMITTED.items() if key not in late}
    assert whole(submissions=[old]).submission == old


def test_the_score_is_that_of_a_leaderboard_and_not_the_highest() -> None:
    told = [score(0.99, "test truth"), score(0.98, submission="s0"), score(0.95)]
    assert whole(leaderboard=told).score == told[2]
    assert whole(leaderboard=told[:2]).score is None
    assert whole().score is None


def test_every_figure_of_an_experiment() -> None:
    told = score(0.96, precision=0.97, recall=0.95, gap=0.22)
    table = tabulate_experiments([whole(leaderboard=[told])], TEST_PAGES)
    assert table.index.tolist() == ["lite0"]
    row = table.loc["lite0"]
    assert row["folds"] == 2
    assert row["parameters"] == (123 + 125) / 2
    assert row["best_epoch"] == (2 + 3) / 2  # of equal epochs the first
    assert (row["seconds"], row["checkpoint_bytes"]) == (75, 4500)
    means = {"out_of_fold": 0.75, "holdout": 0.92, "test": 0.96}
    for subset, hmean in means.items():
        found = [row[f"{subset}_{name}"] for name in SCORES]
        assert found == pytest.approx([hmean + 0.02, hmean - 0.01, hmean])
    assert [row[f"leaderboard_{name}"] for name in SCORES] == [0.97, 0.95, 0.96]
    interval = bootstrap_mean([0.9, 0.8, 0.7, 0.6])
    assert (row["out_of_fold_low"], row["out_of_fold_high"]) == (interval.low, interval.high)
    board = leaderboard_interval([0.9, 0.8, 0.7, 0.6], TEST_PAGES)
    assert row["gap"] == 0.22  # as recorded, of the folds' means: not 0.96 - 0.75
    assert (row["gap_low"], row["gap_high"]) == pytest.approx((board.low - 0.75, board.high - 0.75))
    assert row["gap_verdict"] == "higher than expected"


def test_where_there_is_nothing_there_is_no_figure() -> None:
    nothing = Experiment("bare", whole().page_scores.iloc[:0], {}, {})
    partly = whole(
        name="wide",
        page_scores=TABLES[1],  # one page
        histories={"fold_0": None, "fold_1": history(0.5, 0.4)},
        trainings={"fold_0": training(100, 4000, None), "fold_1": None},
        leaderboard=[score(0.96, gap=0.36)],
    )
    table = tabulate_experiments([nothing, partly], TEST_PAGES)
    bare, wide = table.loc["bare"], table.loc["wide"]
    assert bare["folds"] == 0
    assert bare["gap_verdict"] is None or pd.isna(bare["gap_verdict"])
    assert bare.drop(["folds", "gap_verdict"]).isna().all()
    known: dict[str, float] = {
        "folds": 2,
        "parameters": 123,
        "best_epoch": 1,
        "checkpoint_bytes": 4000,
    }
    known |= {"leaderboard_hmean": 0.96}
    known |= {"out_of_fold_hmean": 0.6, "out_of_fold_precision": 0.62, "out_of_fold_recall": 0.59}
    assert wide[list(known)].to_dict() == pytest.approx(known)
    assert wide.drop(list(known)).isna().all()


def spread(**more: Any) -> Experiment:
    hmeans = np.random.default_rng(0).uniform(0.8, 1.0, 100).tolist()
    return whole(page_scores=rows("fold_0", "out_of_fold", hmeans), **more)


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (0.0, "as expected"),
        (0.01, "as expected"),
        (-0.01, "as expected"),
        (0.05, "higher than expected"),
        (-0.05, "lower than expected"),
    ],
)
def test_a_gap_is_judged_by_what_other_pages_would_do(gap: float, verdict: str) -> None:
    # Pages have the standard deviation 0.2 / sqrt(12) = 0.0577, the two means together
    # 0.0577 * sqrt(1 / 100 + 1 / 50) = 0.01: 95 % of the gaps lie within 0.0196.
    found = judge_gap(spread(leaderboard=[score(0.6, gap=gap)]), TEST_PAGES)
    assert found is not None
    assert found[0] == gap  # the recorded one, whatever the scores are today
    assert found[1].mean == 0.0
    assert (found[1].low, found[1].high) == pytest.approx((-0.0196, 0.0196), rel=0.15)
    assert found[2] == verdict


def test_without_either_score_or_pages_no_gap_is_judged() -> None:
    told = [score(0.9, gap=0.01)]
    assert judge_gap(spread(leaderboard=told), TEST_PAGES) is not None
    assert judge_gap(spread(), TEST_PAGES) is None
    assert judge_gap(spread(leaderboard=[score(0.9)]), TEST_PAGES) is None  # no validation
    assert judge_gap(spread(leaderboard=told, submissions=[]), TEST_PAGES) is None
    assert judge_gap(spread(leaderboard=told), 0) is None
    assert judge_gap(whole(page_scores=TABLES[1], leaderboard=told), TEST_PAGES) is None
    assert judge_gap(whole(page_scores=TABLES[4], leaderboard=told), TEST_PAGES) is None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"stopped_by": "patience of 3 epochs"}, True),
        ({"stopped_by": "30 epochs"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_training_whose_patience_was_spent_has_stopped_early(
    record: dict[str, Any] | None, expected: bool
) -> None:
    assert stopped_early(record) == expected
