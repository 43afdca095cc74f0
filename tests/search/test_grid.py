"""The search over a grid: golden scores, ties, the cross-fitted estimate, several processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import PostprocessSettings
from receipt_ocr.evaluation.cleval import prepare_truth
from receipt_ocr.search.grid import GridSettings, SearchResult, search_grid
from receipt_ocr.search.page_scoring import Point
from receipt_ocr.search.score_table import ScoreTable
from tests.golden import as_polygons, as_settings, load_contest, read_map
from tests.search.pages import TO_PAGE, Page, noisy_page, open_table, score_plainly

GRID = GridSettings(
    thresh=(0.2, 0.5), box_thresh=(0.3, 0.45, 0.7), unclip_ratio=(0.3, 4.0), max_candidates=(3, 100)
)
RECIPE = PostprocessSettings()
AXES = Point._fields


def search(
    pages: dict[str, Page],
    settings: GridSettings = GRID,
    base: PostprocessSettings = RECIPE,
    folds: dict[str, int] | None = None,
    workers: int = 1,
) -> SearchResult:
    with open_table(pages, base, folds, workers) as table:
        return search_grid(table, settings)


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {f"page_{seed}": noisy_page(seed) for seed in range(4)}


@pytest.mark.parametrize("setting", [0, 1, 2, 3])
def test_the_search_scores_recorded_pages_as_the_contest_does(shared: Path, setting: int) -> None:
    golden = load_contest(shared)
    base = as_settings(golden["settings"][setting])
    # Values beside the contest's, so that its own point is one of many.
    own = {name: getattr(base, name) for name in golden["settings"][setting] if name in AXES}
    grid = GridSettings(**{name: (value, type(value)(value / 2)) for name, value in own.items()})
    for page in golden["pages"]:
        (expected,) = [r["cleval"] for r in page["results"] if r["setting"] == setting]
        truth = prepare_truth(as_polygons(page["gt"]))
        row = search({"page": (read_map(shared, page), truth)}, grid, base).rows[0]
        assert {name: row[name] for name in own} == own
        for measure in ("recall", "precision", "hmean"):
            assert row[measure] == pytest.approx(expected[measure], rel=0, abs=1e-9)


def test_the_best_row_is_chosen_and_the_rest_of_the_base_is_kept(pages: dict[str, Page]) -> None:
    base = PostprocessSettings(min_size=4.0, candidate_order="contour")
    result = search(pages, GRID, base)
    top = max(row["hmean"] for row in result.rows)
    assert result.chosen_hmean == top
    best = result.best.model_dump()
    assert (best["min_size"], best["candidate_order"]) == (4.0, "contour")
    (row,) = [r for r in result.rows if all(best[key] == r[key] for key in list(r)[:5])]
    assert row["hmean"] == top
    # Every setting matters on these pages.
    for name in ("thresh", "box_thresh", "unclip_ratio", "max_candidates"):
        others = [key for key in list(row)[:5] if key != name]
        by_others: dict[tuple[float, ...], set[float]] = {}
        for one in result.rows:
            by_others.setdefault(tuple(one[key] for key in others), set()).add(one["hmean"])
        assert any(len(hmeans) > 1 for hmeans in by_others.values()), name


def test_ties_go_to_the_settings_nearest_to_the_base() -> None:
    # A page without words scores 0 at every point: all of them tie.
    blank = {"blank": (noisy_page(0)[0], prepare_truth([]))}
    base = PostprocessSettings(thresh=0.45, box_thresh=0.5, unclip_ratio=1.9)
    near = search(blank, GRID, base)
    tuned = {"thresh": 0.5, "box_thresh": 0.45, "unclip_ratio": 0.3, "max_candidates": 100}
    assert near.best == base.model_copy(update=tuned)
    assert near.chosen_hmean == 0.0


def faint_and_stained() -> dict[str, Page]:
    """Two kinds of pages: one where only a low threshold finds the words, one where it harms."""
    pages = {}
    for index in range(4):
        page, truth = noisy_page(index)
        # Every word below 0.5, so that a high threshold finds nothing; or a stain, so that at a
        # low threshold all is one word.
        values = page.values * 0.4 if index < 2 else np.maximum(page.values, 0.2)
        stored = ProbabilityMap.from_probability(values, TO_PAGE, 310, 333)
        pages[f"page_{index}"] = stored, truth
    return pages


def test_the_cross_fitted_estimate_scores_each_fold_with_the_choice_of_the_others() -> None:
    pages = faint_and_stained()
    folds = {"page_0": 0, "page_1": 0, "page_2": 1, "page_3": 1}
    grid = GridSettings(thresh=(0.12, 0.5), box_thresh=(0.1,), unclip_ratio=(2.0,))
    result = search(pages, grid, folds=folds)
    at_each = [PostprocessSettings(thresh=thresh, box_thresh=0.1) for thresh in grid.thresh]
    low, high = ([score_plainly(page, own).hmean for page in pages.values()] for own in at_each)
    # Fold 0 (faint) would take the low threshold, fold 1 (stained) the high one; held out, each
    # is scored with the other's choice.
    assert {fold: s.thresh for fold, s in result.fold_choices.items()} == {0: 0.5, 1: 0.12}
    assert result.cross_fitted_hmean == pytest.approx(np.mean([*high[:2], *low[2:]]))
    assert result.chosen_hmean == pytest.approx(max(np.mean(low), np.mean(high)))
    assert result.chosen_hmean > result.cross_fitted_hmean


@pytest.mark.parametrize("folds", [None, {f"page_{k}": 3 for k in range(4)}])
def test_one_fold_has_no_cross_fitted_estimate(
    pages: dict[str, Page], folds: dict[str, int] | None
) -> None:
    grid = GridSettings(thresh=(0.3,), box_thresh=(0.4,), unclip_ratio=(2.0,))
    result = search(pages, grid, folds=folds)
    assert (result.cross_fitted_hmean, result.fold_choices) == (None, {})


def test_processes_and_the_order_of_pages_change_nothing(pages: dict[str, Page]) -> None:
    folds = {name: index % 2 for index, name in enumerate(pages)}
    alone = search(pages, folds=folds)
    assert search(pages, folds=folds, workers=2) == alone
    assert search(dict(reversed(pages.items())), folds=folds) == alone


def test_a_point_is_scored_once_on_a_page(pages: dict[str, Page]) -> None:
    read: list[str] = []
    truths = {name: truth for name, (_, truth) in pages.items()}
    maps = {name: lambda name=name: read.append(name) or pages[name][0] for name in pages}  # type: ignore[misc]
    table = ScoreTable(maps, truths, RECIPE)
    once = search_grid(table, GRID)
    assert sorted(read) == sorted(pages)
    assert search_grid(table, GRID) == once
    assert len(read) == len(pages)


def test_other_pages_in_maps_truths_and_folds_are_refused() -> None:
    page, truth = noisy_page(0)
    with pytest.raises(ValueError, match="at least one page with a map, got none"):
        ScoreTable({}, {}, RECIPE)
    with pytest.raises(ValueError, match=r"maps and truths .* 2 are in one .*\['a', 'b'\]"):
        ScoreTable({"a": lambda: page}, {"b": truth}, RECIPE)
    with pytest.raises(ValueError, match=r"maps and folds .* 1 are in one .*\['a'\]"):
        ScoreTable({"a": lambda: page}, {"a": truth}, RECIPE, folds={})


def test_an_error_names_page_and_settings(pages: dict[str, Page]) -> None:
    page_map, _ = pages["page_0"]
    broken: Any = (page_map, None)
    with pytest.raises(AttributeError) as caught:
        search({"page_0": pages["page_0"], "torn": broken}, workers=2)
    notes = caught.value.__notes__
    assert notes == ["at unclip_ratio=0.3", "at thresh=0.2", "on page torn"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thresh": ()}, "at least 1 item"),
        ({"thresh": (0.2, 1.2)}, "less than or equal to 1"),
        ({"box_thresh": (-0.1,)}, "greater than or equal to 0"),
        ({"unclip_ratio": (0.0,)}, "greater than 0"),
        ({"max_candidates": (0,)}, "greater than 0"),
        ({"box_thresh": (0.4, 0.3, 0.4)}, r"each value must occur once, got \(0.4, 0.3, 0.4\)"),
        ({"workers": 0}, "greater than 0"),
        ({"min_size": ()}, "at least 1 item"),
        ({"ray": "local"}, r"ray\n  Extra inputs"),
        ({"refine": {"trials": -1}}, "greater than or equal to 0"),
        ({"refine": {"seed": -1}}, "greater than or equal to 0"),
        ({"refine": {"seed": 2**32}}, "less than 4294967296"),
        ({"refine": {"steps": 3}}, "Extra inputs"),
    ],
)
def test_grids_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GridSettings.model_validate(values)


def test_the_default_grid_is_modest_and_holds_the_recipe() -> None:
    grid = GridSettings()
    names = ("thresh", "box_thresh", "unclip_ratio", "max_candidates")
    assert np.prod([len(getattr(grid, name)) for name in names]) <= 120
    for name in names:
        assert getattr(RECIPE, name) in getattr(grid, name)


def test_the_page_matrix_is_used() -> None:
    page, truth = noisy_page(1)
    doubled = np.diag([2.0, 2.0, 1.0]) @ TO_PAGE
    grid = GridSettings(thresh=(0.2,), box_thresh=(0.3,), unclip_ratio=(2.0,))
    plain = search({"a": (page, truth)}, grid).chosen_hmean
    assert search({"a": noisy_page(1, doubled)}, grid).chosen_hmean == pytest.approx(
        plain, abs=0.05
    )
    moved = ProbabilityMap(page.probability, doubled, 620, 666)
    assert search({"a": (moved, truth)}, grid).chosen_hmean < 0.5
