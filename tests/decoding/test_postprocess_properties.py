"""From any map to polygons, and the search over any grid against plain calls."""

from functools import partial
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import (
    Detections,
    PostprocessSettings,
    extract_polygons,
)
from receipt_ocr.evaluation.cleval import CLEvalSettings, prepare_truth, score_page
from receipt_ocr.geometry.polygons import Matrix, Polygon
from receipt_ocr.search.grid import GridSettings, search_grid
from tests.polygon_strategies import blob_maps, box, probability_maps, soup_polygons

IDENTITY = np.eye(3)
NO_CAP = 10**6
AXES = ("thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size")

# Steps of the maps among them; low ones more often, as they find more.
thresholds = st.sampled_from([0.1, 0.29, 0.29, 40 / 255, 0.4, 128 / 255, 0.0, 0.9, 1.0])
box_thresholds = st.sampled_from([0.0, 0.1, 0.1, 0.29, 0.4, 128 / 255, 0.9])
ratios = st.sampled_from([2.0, 1.5, 1.0, 4.0, 0.2])
caps = st.sampled_from([600, 1, 2, 3, 7])
shapes = st.sampled_from(["polygon", "box"])
orders = st.sampled_from(["score", "contour"])
sizes = st.sampled_from([0.0, 0.0, 3.0, 5.0, 8.0])  # at 0 words of 3 points are left

any_settings = st.builds(
    PostprocessSettings,
    thresh=thresholds,
    box_thresh=box_thresholds,
    unclip_ratio=ratios,
    max_candidates=caps,
    min_size=sizes,
    shape=shapes,
    candidate_order=orders,
)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """From the map to a page: stretched and moved."""
    across, down = draw(st.floats(0.3, 4)), draw(st.floats(0.3, 4))
    right, below = draw(st.floats(-40, 40)), draw(st.floats(-40, 40))
    return np.array([[across, 0, right], [0, down, below], [0, 0, 1]])


def words_of(found: Detections) -> list[tuple[float, bytes]]:
    """Each word as something that can be compared and sorted."""
    return [
        (score, polygon.tobytes())
        for score, polygon in zip(found.scores.tolist(), found.polygons, strict=True)
    ]


def with_values(base: PostprocessSettings, **values: Any) -> PostprocessSettings:
    return PostprocessSettings(**{**base.model_dump(), **values})


class TestAnyMap:
    @settings(max_examples=60, deadline=None)
    @given(probability_maps(), matrices(), any_settings)
    def test_detections_are_sound(
        self,
        probability: NDArray[Any],
        map_to_page: Matrix,
        chosen: PostprocessSettings,
    ) -> None:
        found = extract_polygons(probability, map_to_page, chosen)
        assert len(found.polygons) == len(found.scores) <= chosen.max_candidates
        assert found.scores.dtype == np.float64
        assert np.isfinite(found.scores).all()
        assert (found.scores >= chosen.box_thresh).all()
        assert (found.scores <= 1 + 1e-9).all()
        if chosen.candidate_order == "score":
            assert (np.diff(found.scores) <= 0).all()
        height, width = probability.shape
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
        limits = corners * np.diag(map_to_page)[:2] + map_to_page[:2, 2]
        # No kernel grows by more than its own size times the ratio.
        reach = (height + width) * chosen.unclip_ratio * np.diag(map_to_page)[:2] + 2
        for polygon in found.polygons:
            assert polygon.ndim == 2
            assert polygon.shape[1] == 2
            assert len(polygon) == 4 or (len(polygon) > 2 and chosen.shape == "polygon")
            assert np.isfinite(polygon).all()
            assert (polygon == np.round(polygon)).all()
            assert (polygon >= limits.min(axis=0) - reach).all()
            assert (polygon <= limits.max(axis=0) + reach).all()

    @settings(max_examples=40, deadline=None)
    @given(probability_maps(), any_settings)
    def test_words_are_no_smaller_than_asked_for(
        self, probability: NDArray[Any], chosen: PostprocessSettings
    ) -> None:
        # On the map's own pixels nothing is rounded but boxes, whose corners move by under 1.
        slack = 1.5 if chosen.shape == "box" else 1e-3
        for polygon in extract_polygons(probability, IDENTITY, chosen).polygons:
            short_side = min(cv2.minAreaRect(polygon.astype(np.float32))[1])
            assert short_side >= chosen.min_size - slack

    @settings(max_examples=40, deadline=None)
    @given(blob_maps(), any_settings, st.data())
    def test_eight_bits_and_their_values_over_255_give_the_same(
        self, eight_bit: NDArray[np.uint8], chosen: PostprocessSettings, data: st.DataObject
    ) -> None:
        # Thresholds on levels of the map decide by one bit.
        levels = st.sampled_from(np.unique(eight_bit).tolist())
        chosen = with_values(chosen, thresh=data.draw(levels) / 255)
        values = eight_bit.astype(np.float32) / np.float32(255)
        first = words_of(extract_polygons(eight_bit, IDENTITY, chosen))
        assert words_of(extract_polygons(values, IDENTITY, chosen)) == first
        stored = ProbabilityMap.from_probability(values, IDENTITY, 9, 9)
        np.testing.assert_array_equal(stored.probability, eight_bit)
        assert words_of(extract_polygons(stored.values, IDENTITY, chosen)) == first

    @settings(max_examples=40, deadline=None)
    @given(blob_maps(has_noise=False), thresholds)
    def test_a_score_is_the_mean_inside_the_kernel(
        self, eight_bit: NDArray[np.uint8], thresh: float
    ) -> None:
        # Hardly regrown a word is its kernel. Parts of one pixel would be lost, so there are none.
        thick = cv2.morphologyEx(eight_bit, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        thick = thick.reshape(eight_bit.shape)
        kernels = PostprocessSettings(
            thresh=thresh, box_thresh=0.0, unclip_ratio=1e-6, max_candidates=NO_CAP, min_size=0.0
        )
        found = extract_polygons(thick, IDENTITY, kernels)
        for polygon, score in zip(found.polygons, found.scores, strict=True):
            inside = np.zeros(thick.shape, dtype=np.uint8)
            cv2.fillPoly(inside, [polygon.astype(np.int32)], [1])
            assert score == pytest.approx(thick[inside > 0].mean() / 255, abs=1e-7)

    @settings(max_examples=40, deadline=None)
    @given(probability_maps(), any_settings)
    def test_without_a_cap_both_orders_give_the_same_words(
        self, probability: NDArray[Any], chosen: PostprocessSettings
    ) -> None:
        by_score, by_contour = (
            words_of(
                extract_polygons(
                    probability,
                    IDENTITY,
                    with_values(chosen, candidate_order=order, max_candidates=NO_CAP),
                )
            )
            for order in ("score", "contour")
        )
        assert sorted(by_score) == sorted(by_contour)
        # Ties keep the order of their contours: a stable sort leads from one to the other.
        assert sorted(by_contour, key=lambda word: -word[0]) == by_score

    @settings(max_examples=40, deadline=None)
    @given(probability_maps(), any_settings)
    def test_a_cap_or_a_higher_box_threshold_only_takes_words_away(
        self, probability: NDArray[Any], chosen: PostprocessSettings
    ) -> None:
        free = with_values(chosen, max_candidates=NO_CAP, box_thresh=0.0)
        words = words_of(extract_polygons(probability, IDENTITY, free))
        strict = with_values(chosen, max_candidates=NO_CAP)
        passing = [word for word in words if word[0] >= chosen.box_thresh]
        assert words_of(extract_polygons(probability, IDENTITY, strict)) == passing
        # The cap counts candidates before they grow, so that fewer words may be left.
        for cap in (1, 2, 3, NO_CAP - 1):
            capped = words_of(
                extract_polygons(probability, IDENTITY, with_values(strict, max_candidates=cap))
            )
            assert len(capped) <= cap
            assert capped == passing[: len(capped)]
        assert capped == passing


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
        left, top = draw(st.integers(-5, 100)), draw(st.integers(-5, 100))
        words.append(
            box(left, top, left + draw(st.integers(1, 80)), top + draw(st.integers(1, 30)))
        )
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
    pages: list[ScoredPage],
    grid: GridSettings,
    base: PostprocessSettings,
    variant: CLEvalSettings,
) -> None:
    """Every row of a search is the page mean of extraction and scoring at its point."""
    maps = {str(index): partial(lambda page: page, page[0]) for index, page in enumerate(pages)}
    prepared = {
        str(index): prepare_truth(words, ignored=ignored, settings=variant)
        for index, (_, words, ignored) in enumerate(pages)
    }
    result = search_grid(maps, prepared, grid, base)
    axes = product(*(getattr(grid, axis) or (base.min_size,) for axis in AXES))
    for row, point in zip(result.rows, axes, strict=True):
        assert tuple(row[axis] for axis in AXES) == point
        chosen = with_values(base, **dict(zip(AXES, point, strict=True)))
        scores = []
        for page, words, ignored in pages:
            found = extract_polygons(page.probability, page.map_to_page, chosen).polygons
            scores.append(score_page(words, found, ignored=ignored, settings=variant))
        for measure in ("recall", "precision", "hmean"):
            expected = float(np.mean([getattr(score, measure) for score in scores]))
            assert row[measure] == pytest.approx(expected, abs=1e-12), (measure, point)
    best = max(row["hmean"] for row in result.rows)
    assert result.chosen_hmean == pytest.approx(best, abs=1e-12)


class TestSearch:
    @settings(max_examples=60, deadline=None)
    @given(st.data(), grids, shapes, orders, sizes)
    def test_each_row_is_what_plain_calls_score(
        self, data: st.DataObject, grid: GridSettings, shape: Any, order: Any, min_size: float
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
    def test_a_word_of_three_points_is_skipped_and_moves_no_other(
        self, order: Any, limit: int
    ) -> None:
        # Four pixels regrow to a triangle, which is no polygon for CLEval, but counts for the cap
        # and for the limit of detections.
        probability = np.zeros((60, 80), dtype=np.uint8)
        for top, level in ((5, 160), (25, 220), (45, 120)):
            probability[top : top + 8, 10:60] = level
        for row, level in ((17, 250), (37, 140), (57, 110)):
            probability[row, 70:73] = probability[row + 1, 72] = level
        page = ProbabilityMap(probability, IDENTITY, 80, 60)
        base = PostprocessSettings(min_size=0.0, candidate_order=order)
        found = extract_polygons(probability, IDENTITY, with_values(base, unclip_ratio=0.2))
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
