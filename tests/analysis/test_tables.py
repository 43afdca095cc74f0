"""Tables of a report by hand: folds, ensemble, members, worst pages, edges of the grid."""

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.analysis.ensemble import compare_members
from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.analysis.tables import (
    choose_pages,
    judging_subset,
    list_members,
    list_worst_pages,
    tabulate_folds,
)
from receipt_ocr.analysis.tuning import find_grid_edges
from tests.analysis.made_records import history
from tests.report.made_results import GRID, score, score_rows


def test_folds_stand_above_their_mean_their_spread_and_the_ensemble() -> None:
    histories = {"fold_0": history(0.1, 0.9, 0.9), "fold_1": None}
    table = tabulate_folds(score_rows(), histories)
    spread = ["mean of folds", "standard deviation"]
    assert list(table.index) == ["fold_0", "fold_1", *spread, "ensemble"]
    # fold 0 out of fold: (92 + 93 + 94) / 3; test: (88 + 89 + 90) / 3
    first = table.loc["fold_0"]
    assert first["pages"] == 3
    assert (first["best_epoch"], first["epochs"]) == (1, 3)  # the first of two equal epochs
    assert first["hmean"] == pytest.approx(0.93)
    assert first["holdout_hmean"] == pytest.approx(0.89)
    assert first["gap"] == pytest.approx(-0.04)
    assert np.isnan(table.loc["fold_1", "epochs"])
    # fold 1: 0.94 and 0.91, so gaps are -0.04 and -0.03
    assert table.loc["mean of folds", "gap"] == pytest.approx(-0.035)
    assert table.loc["standard deviation", "hmean"] == pytest.approx(0.01 / np.sqrt(2))
    assert table.loc["ensemble", "test_hmean"] == pytest.approx(0.96)
    assert np.isnan(table.loc["ensemble", "hmean"])


def test_the_ensemble_is_compared_with_the_best_the_mean_and_the_others() -> None:
    found = compare_members(score_rows(), "test")
    assert [(one.kind, one.name) for one in found] == [
        ("best fold", "fold_1"),
        ("mean fold", None),
        ("fold", "fold_0"),
    ]
    # 0.96 against 0.91, 0.90, 0.89, by the same amount on every page
    for one, difference in zip(found, (0.05, 0.06, 0.07), strict=True):
        assert one.comparison.difference == pytest.approx(difference)
        assert one.comparison.low == pytest.approx(difference)
        assert one.comparison.verdict == "better"


def test_one_member_or_one_page_is_nothing_to_compare() -> None:
    assert compare_members(score_rows(members=1), "test") == []
    rows = score_rows()
    assert compare_members(rows[rows["page"] == "test_0"], "test") == []


def test_the_ensemble_is_judged_on_test_else_on_holdout() -> None:
    assert judging_subset(score_rows()) == "test"
    assert judging_subset(score_rows(test=False)) == "holdout"
    assert judging_subset(score_rows(test=False, holdout=False)) is None


def test_members_have_intervals_and_errors_by_subset() -> None:
    found = list_members(score_rows())
    assert list(found) == ["fold_0", "fold_1", "all folds", "ensemble"]
    assert found["fold_1"]["test"].errors == [6, 0, 0, 0]
    assert found["ensemble"]["holdout"].errors == [3, 0, 0, 0]
    whole = found["all folds"]["out_of_fold"]
    assert (whole.pages, whole.errors) == (6, [0, 0, 0, 0])
    assert whole.hmean.mean == pytest.approx(0.935)
    assert "test" not in found["all folds"]


def test_worst_pages_come_first_and_blank_ones_not_at_all() -> None:
    blank = tabulate_pages("ensemble", "test", {"test_9": score(0, of=0)})
    worst = list_worst_pages(pd.concat([score_rows(), blank]), "test", count=2)
    assert worst["page"].tolist() == ["test_0", "test_1"]


def test_pages_to_look_at_reach_from_the_worst_to_the_best() -> None:
    scores = {f"p{i:02d}": score(99 - i) for i in range(11)}
    rows = tabulate_pages("ensemble", "test", scores)
    chosen = choose_pages(rows, pd.DataFrame(columns=["page", "subset"]))
    assert chosen == ["p10", "p08", "p06", "p04", "p02", "p00"]


def test_without_truth_pages_are_chosen_by_their_place() -> None:
    pages = pd.DataFrame({"page": ["t", "x", "y"], "subset": ["train", "test", "test"]})
    assert choose_pages(score_rows(test=False), pages) == ["x", "y"]


def test_only_the_ends_of_what_was_tried_are_edges() -> None:
    best = {"thresh": 0.1, "box_thresh": 0.25, "unclip_ratio": 2.0, "max_candidates": 600}
    assert find_grid_edges(GRID, best) == {"thresh": "lowest"}
    inside = best | {"thresh": 0.2, "unclip_ratio": 2.5}
    assert find_grid_edges(GRID, inside) == {"unclip_ratio": "highest"}
