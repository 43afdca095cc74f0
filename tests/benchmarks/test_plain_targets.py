"""The plain target maps: equal to the recorded ones and to the package's."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.dense_pages import draw_page
from benchmarks.plain_targets import render_targets
from receipt_ocr.receipts import targets

GOLDEN_PAGES = ["005", "031", "057", "083", "109", "135", "161", "187"]


@pytest.mark.parametrize("page", GOLDEN_PAGES)
def test_golden_pages_are_reproduced(shared: Path, page: str) -> None:
    with np.load(shared / "golden" / "targets" / f"{page}.npz") as golden:
        shrink_map, _, threshold_map, _ = render_targets(golden["polygons"].astype(float), 960, 960)
        np.testing.assert_array_equal(shrink_map, golden["shrink_map"])
        np.testing.assert_allclose(threshold_map, golden["threshold_map"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("points", [4, 24])
def test_dense_pages_have_the_packages_maps(points: int) -> None:
    page = draw_page(60, points)
    page_to_map = np.linalg.inv(page.map_to_page)
    words = [word @ page_to_map[:2, :2].T + page_to_map[:2, 2] for word in page.truth]
    words.append(words[0] - 60)  # reaches over the frame
    expected = targets.render_targets(words, 960, 960, targets.TargetSettings(min_height=0))
    plain = render_targets(words, 960, 960)
    for name in ("shrink_map", "shrink_mask", "threshold_mask"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(expected, name))
    np.testing.assert_allclose(plain.threshold_map, expected.threshold_map, rtol=0, atol=1e-5)


def test_a_repeated_vertex_changes_nothing() -> None:
    word = np.array([[20.0, 20.0], [120.0, 24.0], [118.0, 60.0], [20.0, 60.0]])
    once, twice = (render_targets([w], 90, 140) for w in (word, np.repeat(word, 2, axis=0)))
    np.testing.assert_array_equal(once[0], twice[0])
    np.testing.assert_array_equal(once[1], twice[1])


def test_words_that_cannot_shrink_leave_no_trace() -> None:
    line = np.array([[10.0, 40.0], [60.0, 40.0], [60.0, 40.0], [10.0, 40.0]])
    thin = np.array([[10.0, 10.0], [60.0, 10.0], [60.0, 12.0], [10.0, 12.0]])
    beyond = np.array([[200.0, 10.0], [260.0, 10.0], [260.0, 30.0], [200.0, 30.0]])
    for words in ([], [line, thin, beyond]):
        shrink_map, _, threshold_map, _ = render_targets(words, 60, 80)
        assert not shrink_map.any()
        np.testing.assert_array_equal(threshold_map, np.float32(0.3))
