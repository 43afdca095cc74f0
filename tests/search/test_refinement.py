"""Refinement: better points between those of the grid, and an estimate that stays honest."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, prepare_truth, score_page
from receipt_ocr.search import refinement as refine
from receipt_ocr.search.grid import GridResult, search_grid
from receipt_ocr.search.refinement import refine_settings
from receipt_ocr.search.settings import GridSettings, RefineSettings

BASE = PostprocessSettings(thresh=0.3, box_thresh=0.3, unclip_ratio=2.0)
GRID = GridSettings(
    thresh=(0.3,),
    box_thresh=(0.3, 0.7),
    unclip_ratio=(2.0,),
    refine=RefineSettings(trials=25, seed=3),
)

Page = tuple[ProbabilityMap, TruthWords]


def page_of(words: float, smears: float) -> Page:
    """Six words of one probability, and three smears of another, where no word is."""
    values = np.zeros((200, 200), dtype=np.float32)
    truths: list[NDArray[np.float64]] = []
    for line in range(6):
        top = 8 + 32 * line
        values[top + 5 : top + 13, 15:95] = words
        corners = [[10, top], [100, top], [100, top + 18], [10, top + 18]]
        truths.append(np.array(corners, dtype=float))
        if line % 2:
            values[top + 5 : top + 13, 130:180] = smears
    return ProbabilityMap.from_probability(values, np.eye(3), 200, 200), prepare_truth(truths)


def refine_pages(
    pages: dict[str, Page],
    start: PostprocessSettings = BASE,
    settings: GridSettings = GRID,
    groups: dict[str, int] | None = None,
    fold_starts: dict[int, PostprocessSettings] | None = None,
) -> GridResult:
    maps: dict[str, LoadMap] = {name: partial(lambda m: m, m) for name, (m, _) in pages.items()}
    truths = {name: truth for name, (_, truth) in pages.items()}
    return refine_settings(maps, truths, start, settings, groups, fold_starts)


def hmean_at(page: Page, settings: PostprocessSettings) -> float:
    page_map, truth = page
    found = extract_polygons(page_map.probability, page_map.map_to_page, settings)
    return score_page([truth.outlines.whole[i] for i in range(6)], found.polygons).hmean


@pytest.fixture(scope="module")
def between() -> dict[str, Page]:
    """Smears at 0.45 or 0.5, words at 0.55 or 0.6: no point of the grid parts them."""
    return {f"page_{k}": page_of(0.55 + 0.05 * (k % 2), 0.45 + 0.05 * (k // 2)) for k in range(4)}


def test_a_point_between_those_of_the_grid_is_found(between: dict[str, Page]) -> None:
    maps: dict[str, LoadMap] = {name: partial(lambda m: m, m) for name, (m, _) in between.items()}
    truths = {name: truth for name, (_, truth) in between.items()}
    coarse = search_grid(maps, truths, GRID, BASE)
    fine = refine_pages(between, coarse.best)
    assert fine.chosen_hmean > coarse.chosen_hmean + 0.04
    assert 0.5 < max(fine.best.box_thresh, fine.best.thresh) < 0.55
    assert fine.chosen_hmean == pytest.approx(
        np.mean([hmean_at(page, fine.best) for page in between.values()]), abs=1e-12
    )
    assert fine.honest_hmean is None
    assert fine.optimism is None

    first, *others = fine.rows
    assert len(fine.rows) == 26
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
    def trials(seed: int, workers: int = 1) -> GridResult:
        own = {"refine": RefineSettings(trials=12, seed=seed), "workers": workers}
        return refine_pages(between, settings=GRID.model_copy(update=own))

    again = trials(3)
    assert trials(3, workers=2) == again
    assert trials(4).rows[1:] != again.rows[1:]


def test_the_start_is_kept_where_nothing_is_better() -> None:
    perfect = {"a": page_of(1.0, 0.0)}  # every point scores 1 on it
    result = refine_pages(perfect)
    assert result.best == BASE
    assert result.chosen_hmean == 1.0
    assert refine_pages(perfect, settings=GridSettings()).rows == result.rows[:1]  # no trials


def two_kinds() -> tuple[dict[str, Page], dict[str, int]]:
    """Fold 0 has faint words and no smears, fold 1 strong words and strong smears."""
    pages = {
        "faint_0": page_of(0.42, 0.0),
        "faint_1": page_of(0.44, 0.0),
        "strong_0": page_of(0.9, 0.55),
        "strong_1": page_of(0.9, 0.6),
    }
    return pages, {name: int(name.startswith("strong")) for name in pages}


def test_a_fold_is_scored_with_what_was_refined_without_it() -> None:
    pages, groups = two_kinds()
    starts = {0: BASE, 1: BASE}
    result = refine_pages(pages, groups=groups, fold_starts=starts)
    for fold, choice in result.fold_choices.items():
        others = {name: page for name, page in pages.items() if groups[name] != fold}
        assert refine_pages(others, starts[fold]).best == choice
    # Refined on strong pages alone, words of fold 0 are lost; on faint ones, smears stay.
    assert max(result.fold_choices[0].thresh, result.fold_choices[0].box_thresh) > 0.44
    assert result.fold_choices[1] == BASE
    honest = np.mean([hmean_at(page, result.fold_choices[groups[k]]) for k, page in pages.items()])
    assert result.honest_hmean == pytest.approx(honest, abs=1e-12)
    assert result.optimism is not None
    assert result.optimism > 0.2


def test_every_fold_begins_at_its_own_start() -> None:
    pages, groups = two_kinds()
    own = {0: BASE.model_copy(update={"box_thresh": 0.7}), 1: BASE}
    settings = GRID.model_copy(update={"refine": RefineSettings(trials=0)})
    result = refine_pages(pages, BASE, settings, groups, own)
    assert result.fold_choices == own
    expected = np.mean([hmean_at(page, own[groups[name]]) for name, page in pages.items()])
    assert result.honest_hmean == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match=r"lacks the folds \[1\].*GridResult\.fold_choices"):
        refine_pages(pages, BASE, settings, groups, {0: BASE})


def test_no_point_is_scored_twice_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, groups = two_kinds()
    seen: list[tuple[int, refine.Point]] = []

    def watch(
        page_map: ProbabilityMap,
        truth: TruthWords,
        points: list[refine.Point],
        base: PostprocessSettings,
    ) -> refine.PageScores:
        seen.extend((id(truth), point) for point in points)
        return original(page_map, truth, points, base)

    original = refine.score_page
    monkeypatch.setattr(refine, "score_page", watch)
    refine_pages(pages, groups=groups, fold_starts={0: BASE, 1: BASE})
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("thresh", [0.0, 0.29, 74 / 255, 0.2882, 1.0])
def test_levels_are_those_that_the_map_is_cut_at(thresh: float) -> None:
    level = refine._level_of(thresh)
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    assert (values > np.float32(thresh)).tolist() == [k > level for k in range(256)]


def test_neighbourhoods_reach_one_step_of_the_grid() -> None:
    grid = GridSettings(
        thresh=(0.2, 0.3), box_thresh=(0.05, 0.2, 0.6), unclip_ratio=(2.0,), min_size=(1.0,)
    )
    start = refine.Point(0.3, 0.05, 2.0, 600, 1.0)
    space = refine._neighbourhood(start, grid)
    ends = {name: (axis.low, axis.high) for name, axis in space.items()}  # type: ignore[attr-defined]
    assert ends["thresh"] == (51, 102)
    assert ends["box_thresh"] == pytest.approx((0.0, 0.2))  # not under 0
    assert ends["unclip_ratio"] == pytest.approx((1.8, 2.2))
    assert ends["min_size"] == pytest.approx((0.0, 3.0))


def test_no_network_library_is_loaded() -> None:
    code = "import sys, receipt_ocr.search.refinement; print('torch' in sys.modules)"

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
