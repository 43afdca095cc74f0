"""Which experiment is to be submitted, on whose pages that rests, and who comes close."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.evaluation.experiment import Experiment
from receipt_ocr.evaluation.recommendation import choose_judge, recommend
from receipt_ocr.evaluation.uncertainty import compare_paired, leaderboard_interval

PAGES = 40
TEST_PAGES = 60
HARDNESS = np.random.default_rng(0).uniform(0.6, 0.9, PAGES)
NOISE = np.tile([0.05, -0.05], PAGES // 2)


def rows(member: str, subset: str, hmeans: np.ndarray, first: int = 0) -> pd.DataFrame:
    pages = [f"p{first + i:02d}" for i in range(len(hmeans))]
    return pd.DataFrame(
        {"member": member, "subset": subset, "page": pages}
        | dict.fromkeys(["precision", "recall", "hmean"], hmeans)
    )


def one(
    name: str,
    *,
    out_of_fold: np.ndarray | None = None,
    holdout: np.ndarray | None = None,
    test: np.ndarray | None = None,
    thresholds: str = "recipe",
    submissions: tuple[str, ...] = (),
) -> Experiment:
    given = {
        ("fold_0", "out_of_fold"): out_of_fold,
        ("ensemble", "holdout"): holdout,
        ("ensemble", "test"): test,
    }
    tables = [rows(*key, values) for key, values in given.items() if values is not None]
    nothing = rows("fold_0", "out_of_fold", np.array([]))
    return Experiment(
        name,
        pd.concat(tables or [nothing], ignore_index=True),
        {},
        {},
        {},
        submissions=[{"submission": submission} for submission in submissions],
        thresholds=thresholds,
    )


def test_the_holdout_decides_where_all_have_one_that_chose_nothing() -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, holdout=HARDNESS)
    wide = one("wide", out_of_fold=HARDNESS, holdout=HARDNESS + 0.01, submissions=("s1", "s2"))
    assert choose_judge([lite, wide]) == "holdout"
    found = recommend([lite, wide], TEST_PAGES)
    assert found is not None
    assert (found.experiment, found.subset, found.pages) == ("wide", "holdout", PAGES)
    assert found.hmean == pytest.approx(HARDNESS.mean() + 0.01)
    assert found.submission == "s2"  # the latest
    assert found.expected == leaderboard_interval(HARDNESS + 0.01, TEST_PAGES)
    (rival,) = found.rivals
    assert (rival.name, rival.comparison) == ("lite0", compare_paired(HARDNESS + 0.01, HARDNESS))
    assert found.indistinct == []


@pytest.mark.parametrize(
    "more",
    [{"holdout": None}, {"holdout": HARDNESS + 0.09, "thresholds": "holdout"}],
)
def test_out_of_fold_pages_decide_where_the_holdout_cannot(more: dict[str, Any]) -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, holdout=HARDNESS)
    wide = one("wide", out_of_fold=HARDNESS, **more)
    assert choose_judge([lite, wide]) == "out_of_fold"
    found = recommend([lite, wide], TEST_PAGES)
    assert found is not None
    assert (found.experiment, found.subset) == ("lite0", "out_of_fold")
    assert found.submission is None
    assert found.expected == leaderboard_interval(HARDNESS + 0.05, TEST_PAGES)


def test_the_test_pages_are_never_asked() -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, test=HARDNESS - 0.3)
    wide = one("wide", out_of_fold=HARDNESS, test=HARDNESS + 0.1)
    found = recommend([lite, wide], TEST_PAGES)
    assert found is not None and found.experiment == "lite0"
    assert recommend([one("lite0", test=HARDNESS)], TEST_PAGES) is None


def test_rivals_stand_in_the_order_of_their_distance() -> None:
    scores = {
        "far": HARDNESS - 0.2,
        "close": HARDNESS - 0.01,
        "best": HARDNESS,
        "indistinct": HARDNESS - 0.001 + NOISE,
        "unscored": None,
    }
    found = recommend([one(name, out_of_fold=values) for name, values in scores.items()], 0)
    assert found is not None
    assert found.experiment == "best"
    assert [rival.name for rival in found.rivals] == ["indistinct", "close", "far"]
    assert [rival.comparison.verdict for rival in found.rivals[1:]] == ["better", "better"]
    assert found.indistinct == ["indistinct"]
    assert found.expected is None  # no leaderboard has no pages


def test_rivals_are_compared_on_the_pages_that_both_have() -> None:
    best = one("best", out_of_fold=HARDNESS)
    part = Experiment("part", rows("fold_0", "out_of_fold", HARDNESS[10:] - 0.1, 10), {}, {}, {})
    other = Experiment("other", rows("fold_0", "out_of_fold", HARDNESS - 0.3, 100), {}, {}, {})
    found = recommend([part, best, other], TEST_PAGES)
    assert found is not None
    (rival,) = found.rivals
    assert (rival.name, rival.comparison.pages) == ("part", PAGES - 10)
    assert rival.comparison.difference == pytest.approx(0.1)


def test_a_fold_of_easy_pages_alone_does_not_make_the_best() -> None:
    order = np.sort(HARDNESS)
    easy = Experiment("easy", rows("fold_0", "out_of_fold", order[30:] - 0.02, 30), {}, {}, {})
    found = recommend([easy, one("whole", out_of_fold=order)], TEST_PAGES)
    assert found is not None
    assert order[30:].mean() - 0.02 > order.mean()
    assert (found.experiment, found.pages) == ("whole", PAGES)
    assert found.hmean == pytest.approx(order.mean())
    # Without common pages there is nothing better than the means.
    apart = one("apart", out_of_fold=order[:30])
    found = recommend([apart, easy], TEST_PAGES)
    assert found is not None
    assert (found.experiment, found.rivals) == ("easy", [])


def test_a_rival_that_is_better_on_more_pages_is_not_beaten() -> None:
    order = np.sort(HARDNESS)
    last = Experiment("last", rows("fold_0", "out_of_fold", order[30:] - 0.3, 30), {}, {}, {})
    gain = np.where(np.arange(PAGES) < 30, -0.1, 0.01)  # better only where all three were judged
    found = recommend(
        [one("first", out_of_fold=order + gain), one("second", out_of_fold=order), last], 0
    )
    assert found is not None
    assert (found.experiment, found.rivals[0].comparison.verdict) == ("first", "worse")
    assert found.indistinct == ["second"]


def test_a_single_page_foretells_nothing() -> None:
    found = recommend([one("lite0", out_of_fold=np.array([0.9]))], TEST_PAGES)
    assert found is not None
    assert (found.hmean, found.pages, found.expected, found.rivals) == (0.9, 1, None, [])


@pytest.mark.parametrize("experiments", [[], [one("lite0")]])
def test_where_nothing_was_scored_nothing_is_recommended(experiments: list[Experiment]) -> None:
    assert recommend(experiments, TEST_PAGES) is None
