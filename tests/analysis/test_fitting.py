"""How trainings ended, and whether new pages score lower than those that chose something."""

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.bootstrap import compare_unpaired
from receipt_ocr.analysis.fitting import compare_new_pages, judge_curves, list_epochs
from tests.analysis.made_records import history, list_pages, train


@pytest.mark.parametrize(
    ("hmeans", "verdict", "best_epoch", "drop", "rise"),
    [
        ([0.5, 0.7, 0.72], "still rising", 2, 0.0, 0.11),
        ([0.5, 0.72], "still rising", 1, 0.0, 0.22),
        ([0.5, 0.9, 0.8, 0.85], "past its peak", 1, 0.05, -0.025),
        ([0.5, 0.9, 0.8996], "level", 1, 0.0004, 0.1998),  # lower by less than counts
        ([0.5, 0.9, 0.9004], "level", 2, 0.0, 0.2002),  # higher by less than counts
        ([0.5, 0.9, 0.9], "level", 1, 0.0, 0.2),  # of equal ones the first
        ([0.9, 0.5, 0.9002], "still rising", 2, 0.0, 0.0001),
        ([0.9, 0.5, 0.9], "level", 0, 0.0, 0.0),  # back where it was
        ([0.6], "level", 0, 0.0, 0.0),
    ],
)
def test_the_last_epochs_decide(
    hmeans: list[float], verdict: str, best_epoch: int, drop: float, rise: float
) -> None:
    (curve,) = judge_curves({"fold_0": history(*hmeans)})
    assert curve.verdict == verdict
    assert (curve.member, curve.epochs, curve.best_epoch) == ("fold_0", len(hmeans), best_epoch)
    assert (curve.best, curve.last) == (max(hmeans), hmeans[-1])
    assert (curve.drop, curve.rise) == pytest.approx((drop, rise))


@pytest.mark.parametrize(
    ("losses", "fell"),
    [([3.0, 2.0, 1.5], 0.25), ([3.0, 2.0, 2.5], -0.25), ([1.0, 0.0, 0.0], 0.0)],
)
def test_the_loss_is_measured_from_the_best_epoch_on(losses: list[float], fell: float) -> None:
    (curve,) = judge_curves({"fold_0": history(0.5, 0.9, 0.8).assign(loss=losses)})
    assert curve.loss_fell == fell


def test_unknown_histories_have_no_curve() -> None:
    known = history(0.5, 0.7)
    curves = judge_curves({"fold_0": None, "fold_1": known, "fold_2": known.iloc[:0]})
    assert [curve.member for curve in curves] == ["fold_1"]


def test_pages_of_another_size_are_a_switch_where_a_member_sees_them() -> None:
    # The external member has other sizes and ends before the others switch.
    own = history(0.1, 0.5, 0.8)
    histories = {"fold_0": own, "wide/fold_0": history(0.3, 0.4).assign(size=320.0), "f": None}
    trainings = {"fold_0": train(stopped_by="patience of 2 epochs"), "wide/fold_0": train()}
    first, second, third = list_epochs(histories, trainings)
    assert (first.epoch, first.sizes, list(first.hmeans.values())) == (0, [320, 640], [0.1, 0.3])
    assert [one.is_switch for one in (first, second, third)] == [False, True, False]
    assert (second.is_best, third.is_best) == ([False, True], [True, False])
    assert (third.sizes, list(third.hmeans.values())) == ([960], [0.8, None])
    assert [one.stopped for one in (first, second, third)] == [[], [], ["fold_0"]]


KNOWN = [
    list_pages("fold_0", "out_of_fold", [0.9, 0.8]),
    list_pages("fold_1", "out_of_fold", [0.7, 0.6], first=2),
    list_pages("wide/fold_0", "out_of_fold", [0.1, 0.1, 0.1, 0.1]),
]
HOLDOUT = [
    list_pages("fold_0", "holdout", [0.5, 0.4, 0.6]),
    list_pages("fold_1", "holdout", [0.7, 0.6, 0.6]),
    list_pages("ensemble", "holdout", [0.99, 0.99, 0.99]),
]
TEST = [list_pages("fold_0", "test", [0.8, 0.8]), list_pages("ensemble", "test", [0.9, 0.9])]


def test_single_folds_on_the_holdout_come_before_the_test() -> None:
    found = compare_new_pages(pd.concat([*KNOWN, *HOLDOUT, *TEST]))
    assert found is not None
    subset, comparison = found
    assert subset == "holdout"
    assert comparison.difference == pytest.approx(np.mean([0.6, 0.5, 0.6]) - 0.75)
    assert comparison == compare_unpaired([0.6, 0.5, 0.6], [0.9, 0.8, 0.7, 0.6])
    found = compare_new_pages(pd.concat([*KNOWN, *TEST]))
    assert found is not None
    assert (found[0], found[1].difference) == ("test", pytest.approx(0.05))


@pytest.mark.parametrize(
    ("thresholds", "subset"), [("recipe", "holdout"), ("tuned", "holdout"), ("holdout", "test")]
)
def test_a_holdout_that_chose_the_thresholds_is_not_new(thresholds: str, subset: str) -> None:
    found = compare_new_pages(pd.concat([*KNOWN, *HOLDOUT, *TEST]), thresholds)
    assert found is not None
    assert found[0] == subset
    alone = compare_new_pages(pd.concat([*KNOWN, *HOLDOUT]), thresholds)
    assert (alone is None) == (subset == "test")


@pytest.mark.parametrize(
    "tables",
    [
        KNOWN,
        [*HOLDOUT, *TEST],
        [*KNOWN, HOLDOUT[-1]],  # no fold alone
        [*KNOWN, list_pages("fold_0", "holdout", [0.5])],  # one page has no spread
    ],
)
def test_without_two_pages_on_both_sides_nothing_is_said(tables: list[pd.DataFrame]) -> None:
    assert compare_new_pages(pd.concat(tables)) is None
