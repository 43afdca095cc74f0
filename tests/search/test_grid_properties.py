"""The search over any grid on any pages, against plain calls at every point."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import PostprocessSettings, extract_polygons
from receipt_ocr.evaluation.cleval import CLEvalSettings, prepare_truth, score_page
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.search.grid import GridSettings, search_grid
from receipt_ocr.search.page_scoring import Point
from receipt_ocr.search.score_table import ScoreTable
from tests.polygon_strategies import blob_maps, box, soup_polygons
from tests.postprocess_strategies import (
    box_thresholds,
    caps,
    matrices,
    orders,
    ratios,
    shapes,
    sizes,
    thresholds,
    with_values,
)


def axis(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=2, unique=True).map(tuple)


grids = st.builds(
    GridSettings,
    thresh=axis(thresholds),
    box_thresh=axis(box_thresholds),
    unclip_ratio=axis(ratios),
    max_candidates=axis(caps),
    min_size=axis(sizes) | st.none(),
)


@st.composite
def truths(draw: st.DrawFn, page: ProbabilityMap, corners: int) -> list[Polygon]:
    """Some words near what is found at one setting, some anywhere."""
    shape = "box" if corners == 4 else "polygon"
    likely = PostprocessSettings(thresh=0.3, box_thresh=0.2, min_size=3.0, shape=shape)
    words: list[Polygon] = []
    for polygon in extract_polygons(page.probability, page.map_to_page, likely).polygons[:6]:
        if draw(st.integers(0, 3)):
            words.append(polygon + draw(st.tuples(st.integers(-4, 4), st.integers(-4, 4))))
    for _ in range(draw(st.integers(0, 2))):
        corner = draw(st.tuples(st.integers(-5, 100), st.integers(-5, 100)))
        words.append(box(0, 0, draw(st.integers(1, 80)), draw(st.integers(1, 30))) + corner)
    if draw(st.booleans()):
        words.append(draw(soup_polygons(max_points=corners, is_huge=False)))
    return words


ScoredPage = tuple[ProbabilityMap, list[Polygon], list[bool]]


@st.composite
def scored_pages(draw: st.DrawFn, corners: int) -> list[ScoredPage]:
    pages = []
    for _ in range(draw(st.integers(1, 3))):
        page = ProbabilityMap(draw(blob_maps()), draw(matrices()), 300, 300)
        words = draw(truths(page, corners))
        pages.append((page, words, [draw(st.integers(0, 3)) == 0 for _ in words]))
    return pages


def assert_rows_are_plain_scores(
    pages: list[ScoredPage], grid: GridSettings, base: PostprocessSettings, variant: CLEvalSettings
) -> None:
    """Every row of a search is the page mean of extraction and scoring at its point."""
    maps = {str(index): partial(lambda own: own, page[0]) for index, page in enumerate(pages)}
    prepared = {
        str(index): prepare_truth(words, ignored=ignored, settings=variant)
        for index, (_, words, ignored) in enumerate(pages)
    }
    result = search_grid(ScoreTable(maps, prepared, base), grid)
    axes = product(*(getattr(grid, name) or (base.min_size,) for name in Point._fields))
    for row, values in zip(result.rows, axes, strict=True):
        point = dict(zip(Point._fields, values, strict=True))
        assert {name: row[name] for name in point} == point
        chosen = with_values(base, **point)
        scores = []
        for page, words, ignored in pages:
            found = extract_polygons(page.probability, page.map_to_page, chosen).polygons
            scores.append(score_page(words, found, ignored=ignored, settings=variant))
        for measure in ("recall", "precision", "hmean"):
            expected = float(np.mean([getattr(score, measure) for score in scores]))
            assert row[measure] == pytest.approx(expected, abs=1e-12), (measure, point)
    best = max(row["hmean"] for row in result.rows)
    assert result.chosen_hmean == pytest.approx(best, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data(), grids, shapes, orders, sizes)
def test_each_row_is_what_plain_calls_score(
    data: st.DataObject, grid: GridSettings, shape: Any, order: Any, min_size: float
) -> None:
    model = data.draw(st.sampled_from(["polygon", "quad"] if shape == "box" else ["polygon"]))
    variant = CLEvalSettings(
        word_model=model,
        max_detections=data.draw(st.sampled_from([2, 500])),
        round_coordinates=data.draw(st.booleans()),
    )
    pages = data.draw(scored_pages(4 if model == "quad" else 12))
    base = PostprocessSettings(shape=shape, candidate_order=order, min_size=min_size)
    assert_rows_are_plain_scores(pages, grid, base, variant)


@pytest.mark.parametrize("order", ["score", "contour"])
@pytest.mark.parametrize("limit", [1, 2, 500])
def test_a_word_of_three_points_is_skipped_and_moves_no_other(order: Any, limit: int) -> None:
    # Four pixels regrow to a triangle, which is no polygon for CLEval, but counts for the cap
    # and for the limit of detections.
    probability = np.zeros((60, 80), dtype=np.uint8)
    for top, level in ((5, 160), (25, 220), (45, 120)):
        probability[top : top + 8, 10:60] = level
    for row, level in ((17, 250), (37, 140), (57, 110)):
        probability[row, 70:73] = probability[row + 1, 72] = level
    page = ProbabilityMap(probability, np.eye(3), 80, 60)
    base = PostprocessSettings(min_size=0.0, candidate_order=order)
    found = extract_polygons(probability, np.eye(3), with_values(base, unclip_ratio=0.2))
    assert sorted(len(word) == 3 for word in found.polygons) == [False] * 3 + [True] * 3
    words = [box(10, top, 60, top + 8) for top in (5, 25, 45)]
    grid = GridSettings(
        thresh=(0.3, 0.5),
        box_thresh=(0.1, 0.48, 0.6),
        unclip_ratio=(0.2, 2.0),
        max_candidates=(1, 2, 3, 4, 600),
    )
    variant = CLEvalSettings(max_detections=limit)
    assert_rows_are_plain_scores([(page, words, [False] * 3)], grid, base, variant)
