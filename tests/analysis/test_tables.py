"""Pages to look at, edges of the grid, and what is too little to compare."""

import pandas as pd

from receipt_ocr.analysis.ensemble import compare_members
from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.analysis.tables import (
    choose_pages,
    list_worst_pages,
)
from receipt_ocr.analysis.tuning import find_grid_edges
from tests.report.made_results import GRID, score, score_rows


def test_one_member_or_one_page_is_nothing_to_compare() -> None:
    assert compare_members(score_rows(members=1), "test") == []
    rows = score_rows()
    assert compare_members(rows[rows["page"] == "test_0"], "test") == []


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
