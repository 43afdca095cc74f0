"""Which experiment is to be submitted, on whose pages that rests, and who comes close."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.bootstrap import compare_paired, leaderboard_interval
from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.recommendation import Recommendation, choose_judge, recommend
from receipt_ocr.records import SubmissionRecord
from tests.analysis.made_records import choose, list_pages, submit

PAGES = 40
TEST_PAGES = 60
HARDNESS = np.random.default_rng(0).uniform(0.6, 0.9, PAGES)
NOISE = np.tile([0.05, -0.05], PAGES // 2)
CHOSEN = choose(("fold_0",))


def part(name: str, hmeans: np.ndarray, first: int) -> Experiment:
    """One that was judged out of fold on some pages only."""
    return Experiment(name, list_pages("fold_0", "out_of_fold", hmeans, first), {}, {}, CHOSEN)


def one(
    name: str,
    thresholds: str = "recipe",
    submissions: tuple[SubmissionRecord, ...] = (),
    **hmeans: np.ndarray | None,
) -> Experiment:
    """An experiment with H-means of the pages of each subset."""
    tables = [list_pages("fold_0", "out_of_fold", [])]
    for subset, values in hmeans.items():
        member = "fold_0" if subset == "out_of_fold" else "ensemble"
        tables += [] if values is None else [list_pages(member, subset, values)]
    chosen = choose(("fold_0",), source=thresholds)
    rows = pd.concat(tables, ignore_index=True)
    return Experiment(name, rows, {}, {}, chosen=chosen, submissions=submissions)


def pick(experiments: list[Experiment], test_pages: int = TEST_PAGES) -> Recommendation:
    found = recommend(experiments, test_pages)
    assert found is not None
    return found


def test_the_holdout_decides_where_all_have_one_that_chose_nothing() -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, holdout=HARDNESS)
    made = (submit("s1", CHOSEN), submit("s2", CHOSEN))
    wide = one("wide", out_of_fold=HARDNESS, holdout=HARDNESS + 0.01, submissions=made)
    assert choose_judge([lite, wide]) == "holdout"
    found = pick([lite, wide])
    assert (found.experiment, found.subset, found.pages) == ("wide", "holdout", PAGES)
    assert found.hmean == pytest.approx(HARDNESS.mean() + 0.01)
    assert found.submission == "s2"  # the latest
    assert found.expected == leaderboard_interval(HARDNESS + 0.01, TEST_PAGES)
    (rival,) = found.rivals
    assert (rival.name, rival.comparison) == ("lite0", compare_paired(HARDNESS + 0.01, HARDNESS))
    assert (found.indistinct, found.beaten_by, found.uncompared) == ([], [], [])
    assert found.is_clear and not found.mixes_thresholds
    assert found.forced_by is None


def test_a_submission_of_something_else_is_never_recommended() -> None:
    later = submit("s2", CHOSEN, kind="final")
    for made, expected in (((submit("s1", CHOSEN), later), "s1"), ((later,), None)):
        found = pick([one("lite0", out_of_fold=HARDNESS, submissions=made)])
        assert (found.experiment, found.submission) == ("lite0", expected)


@pytest.mark.parametrize(
    "more",
    [{"holdout": None}, {"holdout": HARDNESS + 0.09, "thresholds": "holdout"}],
)
def test_out_of_fold_pages_decide_where_the_holdout_cannot(more: dict[str, Any]) -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, holdout=HARDNESS)
    wide = one("wide", out_of_fold=HARDNESS, **more)
    assert choose_judge([lite, wide]) == "out_of_fold"
    found = pick([lite, wide])
    assert (found.experiment, found.subset) == ("lite0", "out_of_fold")
    assert found.submission is None
    assert found.expected == leaderboard_interval(HARDNESS + 0.05, TEST_PAGES)
    assert found.forced_by == "wide"
    (rival,) = found.rivals
    assert (found.thresholds, rival.thresholds) == ("recipe", more.get("thresholds", "recipe"))


def test_what_has_no_holdout_is_forced_by_none_to_do_without() -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, thresholds="tuned")
    wide = one("wide", out_of_fold=HARDNESS, holdout=HARDNESS)
    found = pick([lite, wide])
    assert (found.experiment, found.forced_by) == ("lite0", None)
    assert (found.thresholds, found.rivals[0].thresholds) == ("tuned", "recipe")
    assert found.mixes_thresholds


def test_the_test_pages_are_never_asked() -> None:
    lite = one("lite0", out_of_fold=HARDNESS + 0.05, test=HARDNESS - 0.3)
    wide = one("wide", out_of_fold=HARDNESS, test=HARDNESS + 0.1)
    found = pick([lite, wide])
    assert found.experiment == "lite0"
    assert recommend([one("lite0", test=HARDNESS)], TEST_PAGES) is None


def test_rivals_stand_in_the_order_of_their_distance() -> None:
    scores = {
        "far": HARDNESS - 0.2,
        "close": HARDNESS - 0.01,
        "best": HARDNESS,
        "indistinct": HARDNESS - 0.001 + NOISE,
        "unscored": None,
    }
    found = pick([one(name, out_of_fold=values) for name, values in scores.items()], test_pages=0)
    assert found.experiment == "best"
    assert [rival.name for rival in found.rivals] == ["indistinct", "close", "far"]
    verdicts = [rival.comparison and rival.comparison.verdict for rival in found.rivals]
    assert verdicts == ["cannot be told apart", "better", "better"]
    assert (found.indistinct, found.beaten_by, found.uncompared) == (["indistinct"], [], [])
    assert not found.is_clear
    assert found.expected is None  # no leaderboard has no pages


def test_rivals_are_compared_on_the_pages_that_both_have() -> None:
    others = [part("few", HARDNESS[10:] - 0.1, 10), part("one", HARDNESS[:1], PAGES - 1)]
    others.append(part("none", HARDNESS[1:] + 0.1, 100))
    found = pick([*others, one("best", out_of_fold=HARDNESS)])
    first, *apart = found.rivals
    assert first.comparison is not None
    assert (first.name, first.comparison.pages) == ("few", PAGES - 10)
    assert first.comparison.difference == pytest.approx(0.1)
    # Two pages are the least that can be compared: these come last, and are named.
    assert [(rival.name, rival.comparison) for rival in apart] == [("one", None), ("none", None)]
    assert found.uncompared == ["one", "none"]
    assert (found.indistinct, found.beaten_by) == ([], [])


def test_a_fold_of_easy_pages_alone_does_not_make_the_best() -> None:
    order = np.sort(HARDNESS)
    easy = part("easy", order[30:] - 0.02, 30)
    found = pick([easy, one("whole", out_of_fold=order)])
    assert order[30:].mean() - 0.02 > order.mean()
    assert (found.experiment, found.pages) == ("whole", PAGES)
    assert found.hmean == pytest.approx(order.mean())
    # Nor where no page is common.
    found = pick([easy, one("apart", out_of_fold=order[:30])])
    assert (found.experiment, found.uncompared) == ("apart", ["easy"])


def test_who_is_better_on_fewer_pages_is_named_and_not_recommended() -> None:
    better, close = part("better", HARDNESS[30:] + 0.02, 30), part("close", HARDNESS[10:], 10)
    found = pick([better, close, one("whole", out_of_fold=HARDNESS)])
    assert (found.experiment, found.pages) == ("whole", PAGES)
    assert (found.beaten_by, found.indistinct) == (["better"], ["close"])
    assert [rival.name for rival in found.rivals] == ["better", "close"]


def test_pages_on_which_another_was_not_judged_decide_too() -> None:
    last = part("last", HARDNESS[30:] - 0.3, 30)
    gain = np.where(np.arange(PAGES) < 30, -0.1, 0.01)  # better only where all three were judged
    first = one("first", out_of_fold=HARDNESS + gain)
    found = pick([first, one("second", out_of_fold=HARDNESS), last], test_pages=0)
    assert found.experiment == "second"
    assert (found.indistinct, found.beaten_by) == ([], [])


def test_of_as_many_but_other_pages_the_common_ones_decide() -> None:
    order = np.sort(HARDNESS)
    early, late = part("early", order[:30], 0), part("late", order[10:] - 0.01, 10)
    assert order[10:].mean() - 0.01 > order[:30].mean()
    found = pick([late, early])
    assert (found.experiment, found.pages) == ("early", 30)
    (rival,) = found.rivals
    assert rival.comparison is not None and rival.comparison.pages == 20


def test_a_single_page_foretells_nothing() -> None:
    found = pick([one("lite0", out_of_fold=np.array([0.9]))])
    assert (found.hmean, found.pages, found.expected, found.rivals) == (0.9, 1, None, [])


@pytest.mark.parametrize("experiments", [[], [one("lite0")]])
def test_where_nothing_was_scored_nothing_is_recommended(experiments: list[Experiment]) -> None:
    assert recommend(experiments, TEST_PAGES) is None
