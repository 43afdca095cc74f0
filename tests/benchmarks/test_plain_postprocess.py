"""The plain post-processing: equal to the recorded results and to the package's."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.dense_pages import draw_page
from benchmarks.plain_postprocess import extract_polygons
from receipt_ocr.decoding import postprocess
from tests.golden import as_polygons, load_contest, read_map

PAGES = {"005", "135", "343", "525"}
RECIPE: dict[str, Any] = {"thresh": 0.29, "box_thresh": 0.25, "unclip_ratio": 2.0}
RECIPE |= {"max_candidates": 600}


def assert_same_as_the_package(
    page_map: NDArray[np.uint8], matrix: NDArray[np.float64], settings: dict[str, Any]
) -> int:
    """Compare words and scores to the bit, and count the words."""
    wanted = postprocess.PostprocessSettings(**settings, candidate_order="contour")
    expected = postprocess.extract_polygons(page_map, matrix, wanted)
    probability = page_map.astype(np.float32) / np.float32(255)
    polygons, scores = extract_polygons(probability, matrix, **settings)
    assert [word.tolist() for word in polygons] == [w.tolist() for w in expected.polygons]
    assert scores == expected.scores.tolist()
    return len(polygons)


@pytest.mark.parametrize("setting", [0, 1, 2, 3])
def test_the_recorded_results_are_reproduced(shared: Path, setting: int) -> None:
    # Setting 2 (boxes) comes from cv2.minAreaRect, whose last digits may differ between
    # releases of OpenCV: there a pixel is allowed.
    golden = load_contest(shared)
    settings = dict(golden["settings"][setting])
    is_polygon = settings.pop("use_polygon")
    shape: Any = "polygon" if is_polygon else "box"
    chosen = [page for page in golden["pages"] if page["page"] in PAGES]
    assert len(chosen) == len(PAGES)
    for page in chosen:
        (expected,) = [r for r in page["results"] if r["setting"] == setting]
        stored = read_map(shared, page)
        polygons, scores = extract_polygons(
            stored.values, stored.map_to_page, **settings, shape=shape
        )
        words = as_polygons(expected["polygons"])
        for word, recorded in zip(polygons, words, strict=True):
            np.testing.assert_allclose(word, recorded, rtol=0, atol=0 if is_polygon else 1)
        tolerance = 0 if is_polygon else 1e-3
        np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("points", [4, 24])
@pytest.mark.parametrize("shape", ["polygon", "box"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"thresh": 0.6, "box_thresh": 0.7, "unclip_ratio": 1.3},
        {"max_candidates": 25, "min_size": 8},
    ],
)
def test_dense_pages_have_the_packages_words(points: int, shape: str, changes: Any) -> None:
    page, settings = draw_page(60, points), {**RECIPE, **changes, "shape": shape}
    found = assert_same_as_the_package(page.probability_map, page.map_to_page, settings)
    assert 10 < found <= min(60, settings["max_candidates"])


@pytest.mark.parametrize("shape", ["polygon", "box"])
def test_specks_of_noise_have_the_packages_words(shape: str) -> None:
    # Diamonds and squares of a few pixels, whose boxes' corners tie.
    rng = np.random.default_rng(8)
    noise = {"thresh": 0.55, "min_size": 0, "max_candidates": 5000, "shape": shape}
    for _ in range(5):
        drawn = cv2.GaussianBlur(rng.integers(0, 256, (90, 120), dtype=np.uint8), (3, 3), 0)
        assert assert_same_as_the_package(drawn.astype(np.uint8), np.eye(3), RECIPE | noise) > 50


def test_specks_and_an_empty_map_have_no_words() -> None:
    probability = np.zeros((40, 40), dtype=np.float32)
    assert extract_polygons(probability, np.eye(3), **RECIPE) == ([], [])
    probability[10, 10] = probability[20:22, 20:22] = probability[30, 5:35] = 1.0
    for shape in ("polygon", "box"):
        found = extract_polygons(probability, np.eye(3), **RECIPE, shape=shape)  # type: ignore[arg-type]
        assert found == ([], [])
