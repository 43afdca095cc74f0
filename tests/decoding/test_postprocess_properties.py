"""From any map to polygons: what must hold whatever the map and the settings are."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import Detections, PostprocessSettings, extract_polygons
from receipt_ocr.geometry.polygons import Matrix
from tests.polygon_strategies import blob_maps, probability_maps
from tests.postprocess_strategies import any_settings, matrices, thresholds, with_values

IDENTITY = np.eye(3)
NO_CAP = 10**6


def words_of(found: Detections) -> list[tuple[float, bytes]]:
    """Each word as something that can be compared and sorted."""
    return [
        (score, polygon.tobytes())
        for score, polygon in zip(found.scores.tolist(), found.polygons, strict=True)
    ]


class TestAnyMap:
    @settings(max_examples=60, deadline=None)
    @given(probability_maps(), matrices(), any_settings)
    def test_detections_are_sound(
        self, probability: NDArray[Any], map_to_page: Matrix, chosen: PostprocessSettings
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
        free = with_values(chosen, max_candidates=NO_CAP)
        by_score, by_contour = (
            words_of(
                extract_polygons(probability, IDENTITY, with_values(free, candidate_order=order))
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
