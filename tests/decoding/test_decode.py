"""Many stored maps: read one by one, scored where there is a truth."""

from collections.abc import Callable

import numpy as np
import pytest

from receipt_ocr.decoding.decode import decode_maps, judge_maps, score_maps
from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import prepare_truth, score_prepared
from receipt_ocr.geometry.polygons import bounding_box

SETTINGS = PostprocessSettings(thresh=0.3, box_thresh=0.5, unclip_ratio=1.0)
WORD = [[100, 50], [190, 50], [190, 90], [100, 90]]


def page_map(left: int = 55) -> ProbabilityMap:
    """A bar of 35x10 map pixels on a page of twice the map's size."""
    probability = np.zeros((80, 120), dtype=np.uint8)
    probability[30:40, left : left + 35] = 255
    return ProbabilityMap(probability, np.diag([2.0, 2.0, 1.0]), 240, 160)


def test_words_are_found_in_page_pixels() -> None:
    ((name, detections),) = decode_maps({"a.jpg": page_map}, SETTINGS)
    assert name == "a.jpg"
    (polygon,) = detections.polygons
    # The kernel's outer pixels are 55..89 x 30..39: 34 x 9 in area, 86 round it, so it regrows
    # by 34 * 9 / 86 = 3.56 map pixels, in whole ones, and is doubled to the page.
    left, top, right, bottom = bounding_box(polygon)
    assert (left, top, right, bottom) == pytest.approx((102.9, 52.9, 185.1, 85.1), abs=1)


def test_maps_are_read_one_at_a_time_when_asked_for() -> None:
    read: list[str] = []

    def loader(name: str) -> Callable[[], ProbabilityMap]:
        return lambda: read.append(name) or page_map()  # type: ignore[func-returns-value]

    found = decode_maps({name: loader(name) for name in "abc"}, SETTINGS)
    assert read == []
    next(found)
    assert read == ["a"]


def test_pages_with_a_truth_are_scored_with_the_polygons_found() -> None:
    def fail() -> ProbabilityMap:
        raise AssertionError("read")

    truths = {"hit": prepare_truth([WORD]), "off": prepare_truth([WORD]), "gone": prepare_truth([])}
    maps = {"other": fail, "hit": page_map, "off": lambda: page_map(left=2)}
    judged = judge_maps(maps, truths, SETTINGS)
    assert list(judged) == ["hit", "off"]
    for page, detections in decode_maps({name: maps[name] for name in judged}, SETTINGS):
        polygons, score = judged[page]
        assert len(polygons) == 1
        np.testing.assert_array_equal(polygons[0], detections.polygons[0])
        assert score == score_prepared(truths[page], polygons)
    scores = score_maps(maps, truths, SETTINGS)
    assert scores == {page: score for page, (_, score) in judged.items()}
    assert (scores["hit"].hmean, scores["off"].hmean) == (1.0, 0.0)
    assert (scores["off"].missed, scores["off"].false) == ((0,), (0,))
