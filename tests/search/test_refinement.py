"""Refinement: better points between those of the grid, and an estimate that stays honest."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords
from receipt_ocr.search import refinement, score_table
from receipt_ocr.search.grid import SearchResult, search_grid
from receipt_ocr.search.page_scoring import PageScores, Point
from receipt_ocr.search.refinement import refine_settings
from receipt_ocr.search.settings import GridSettings, RefineSettings
from tests.search.pages import Page, even_page, open_table, score_plainly

BASE = PostprocessSettings(thresh=0.3, box_thresh=0.3, unclip_ratio=2.0)
GRID = GridSettings(
    thresh=(0.3,),
    box_thresh=(0.3, 0.7),
    unclip_ratio=(2.0,),
    refine=RefineSettings(trials=25, seed=3),
)


def page_of(words: float, smears: float) -> Page:
    """Six words of one probability, and three smears of another, where no word is."""
    return even_page([words] * 6, dict.fromkeys((1, 3, 5), smears))


def with_trials(trials: int, seed: int = 3) -> GridSettings:
    return GRID.model_copy(update={"refine": RefineSettings(trials=trials, seed=seed)})


def refine(
    pages: dict[str, Page],
    settings: GridSettings = GRID,
    folds: dict[str, int] | None = None,
    workers: int = 1,
    **starts: object,
) -> tuple[SearchResult, SearchResult]:
    """Results on the grid and refined, from other starts than the grid's if any are given."""
    with open_table(pages, BASE, folds, workers) as table:
        on_grid = replace(search_grid(table, settings), **starts)  # type: ignore[arg-type]
        return on_grid, refine_settings(table, settings, on_grid)


@pytest.fixture(scope="module")
def between() -> dict[str, Page]:
    """Smears at 0.45 or 0.5, words at 0.55 or 0.6: no point of the grid parts them."""
    return {f"page_{k}": page_of(0.55 + 0.05 * (k % 2), 0.45 + 0.05 * (k // 2)) for k in range(4)}


def test_a_point_between_those_of_the_grid_is_found(between: dict[str, Page]) -> None:
    coarse, fine = refine(between)
    assert fine.chosen_hmean > coarse.chosen_hmean + 0.04
    assert 0.5 < max(fine.best.box_thresh, fine.best.thresh) < 0.55
    plain = [score_plainly(page, fine.best).hmean for page in between.values()]
    assert fine.chosen_hmean == pytest.approx(np.mean(plain), abs=1e-12)
    assert fine.cross_fitted_hmean is None

    first, *others = fine.rows
    assert [row["trial"] for row in fine.rows] == list(range(26))
    (own,) = [row for row in coarse.rows if row["box_thresh"] == coarse.best.box_thresh]
    assert first == {"trial": 0, **own}
    assert fine.chosen_hmean == max(row["hmean"] for row in fine.rows)
    for row in others:
        assert 0.25 - 1 / 255 <= row["thresh"] <= 0.35 + 1 / 255
        assert 0.0 <= row["box_thresh"] <= 0.7
        assert 1.8 <= row["unclip_ratio"] <= 2.2
        assert 3.0 <= row["min_size"] <= 7.0
        assert row["max_candidates"] == BASE.max_candidates


def test_the_same_seed_tries_the_same_points(between: dict[str, Page]) -> None:
    again = refine(between, with_trials(12))
    assert refine(between, with_trials(12), workers=2) == again
    assert refine(between, with_trials(12, seed=4))[1].rows[1:] != again[1].rows[1:]


def test_the_start_is_kept_where_nothing_is_better() -> None:
    perfect = {"a": page_of(1.0, 0.0)}  # every point scores 1 on it
    _, result = refine(perfect)
    assert result.best == BASE
    assert result.chosen_hmean == 1.0
    assert refine(perfect, with_trials(0))[1].rows == result.rows[:1]


TwoKinds = tuple[dict[str, Page], dict[str, int]]


@pytest.fixture(scope="module")
def two_kinds() -> TwoKinds:
    """Fold 0 has faint words and no smears, fold 1 strong words and strong smears."""
    pages = {
        "faint_0": page_of(0.42, 0.0),
        "faint_1": page_of(0.44, 0.0),
        "strong_0": page_of(0.9, 0.55),
        "strong_1": page_of(0.9, 0.6),
    }
    return pages, {name: int(name.startswith("strong")) for name in pages}


def cross_fitted(
    pages: dict[str, Page], folds: dict[str, int], choices: dict[int, PostprocessSettings]
) -> float:
    hmeans = [score_plainly(page, choices[folds[name]]).hmean for name, page in pages.items()]
    return float(np.mean(hmeans))


def test_a_fold_is_scored_with_what_was_refined_without_it(two_kinds: TwoKinds) -> None:
    pages, folds = two_kinds
    _, result = refine(pages, folds=folds, best=BASE, fold_choices={0: BASE, 1: BASE})
    for fold, choice in result.fold_choices.items():
        others = {name: page for name, page in pages.items() if folds[name] != fold}
        assert refine(others, best=BASE)[1].best == choice
    # Refined on strong pages alone, words of fold 0 are lost; on faint ones, smears stay.
    assert max(result.fold_choices[0].thresh, result.fold_choices[0].box_thresh) > 0.44
    assert result.fold_choices[1] == BASE
    expected = cross_fitted(pages, folds, result.fold_choices)
    assert result.cross_fitted_hmean == pytest.approx(expected, abs=1e-12)
    assert result.chosen_hmean > expected + 0.2


def test_every_fold_begins_at_its_own_start(two_kinds: TwoKinds) -> None:
    pages, folds = two_kinds
    own = {0: BASE.model_copy(update={"box_thresh": 0.7}), 1: BASE}
    _, result = refine(pages, with_trials(0), folds, fold_choices=own)
    assert result.fold_choices == own
    assert result.cross_fitted_hmean == pytest.approx(cross_fitted(pages, folds, own), abs=1e-12)


def test_no_point_is_scored_twice_on_a_page(
    two_kinds: TwoKinds, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, Point]] = []
    original = score_table.score_page

    def watch(
        page_map: ProbabilityMap, truth: TruthWords, points: list[Point], base: PostprocessSettings
    ) -> PageScores:
        seen.extend((id(truth), point) for point in points)
        return original(page_map, truth, points, base)

    monkeypatch.setattr(score_table, "score_page", watch)
    pages, folds = two_kinds
    refine(pages, folds=folds)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("thresh", [0.0, 0.29, 74 / 255, 0.2882, 1.0])
def test_levels_are_those_that_the_map_is_cut_at(thresh: float) -> None:
    level = refinement._level_of(thresh)
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    assert (values > np.float32(thresh)).tolist() == [k > level for k in range(256)]


def test_neighbourhoods_reach_one_step_of_the_grid() -> None:
    grid = GridSettings(
        thresh=(0.2, 0.3), box_thresh=(0.05, 0.2, 0.6), unclip_ratio=(2.0,), min_size=(1.0,)
    )
    space = refinement._neighbourhood(Point(0.3, 0.05, 2.0, 600, 1.0), grid)
    ends = {name: (axis.low, axis.high) for name, axis in space.items()}  # type: ignore[attr-defined]
    assert ends["thresh"] == (51, 102)
    assert ends["box_thresh"] == pytest.approx((0.0, 0.2))  # not under 0
    assert ends["unclip_ratio"] == pytest.approx((1.8, 2.2))
    assert ends["min_size"] == pytest.approx((0.0, 3.0))


def test_no_network_library_is_loaded() -> None:
    code = "import sys, receipt_ocr.search.refinement; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
