"""The plain post-processing: equal to the recorded results and to the package's."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.dense_pages import draw_page
from benchmarks.plain_postprocess import extract_polygons
from receipt_ocr.decoding import postprocess

PAGES = {"005", "135", "343", "525"}
RECIPE: dict[str, Any] = {
    "thresh": 0.29,
    "box_thresh": 0.25,
    "unclip_ratio": 2.0,
    "max_candidates": 600,
}


@pytest.mark.parametrize("setting", [0, 1, 2, 3])
def test_the_recorded_results_are_reproduced(shared: Path, setting: int) -> None:
    # Setting 2 (boxes) comes from cv2.minAreaRect, whose last digits may differ between
    # releases of OpenCV: there a pixel is allowed.
    golden = json.loads((shared / "golden" / "postprocess_cleval.json").read_text())
    settings = dict(golden["settings"][setting])
    is_polygon = settings.pop("use_polygon")
    shape = "polygon" if is_polygon else "box"
    chosen = [page for page in golden["pages"] if page["page"] in PAGES]
    assert len(chosen) == len(PAGES)
    for page in chosen:
        (expected,) = [r for r in page["results"] if r["setting"] == setting]
        stored = cv2.imread(str(shared / "golden" / page["map"]), cv2.IMREAD_GRAYSCALE)
        assert stored is not None
        probability = stored.astype(np.float32) / np.float32(255)
        polygons, scores = extract_polygons(
            probability, np.array(page["map_to_page"]), **settings, shape=shape
        )
        assert len(polygons) == len(expected["polygons"])
        for polygon, flat in zip(polygons, expected["polygons"], strict=True):
            np.testing.assert_allclose(polygon.ravel(), flat, rtol=0, atol=0 if is_polygon else 1)
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
def test_dense_pages_have_the_packages_words(points: int, shape: Any, changes: Any) -> None:
    page = draw_page(60, points)
    probability = page.probability_map.astype(np.float32) / np.float32(255)
    settings = RECIPE | changes
    expected = postprocess.extract_polygons(
        probability,
        page.map_to_page,
        postprocess.PostprocessSettings(**settings, shape=shape, candidate_order="contour"),
    )
    polygons, scores = extract_polygons(probability, page.map_to_page, **settings, shape=shape)
    assert len(polygons) == len(expected.polygons)
    assert 10 < len(polygons) <= min(60, settings["max_candidates"])
    for ours, theirs in zip(polygons, expected.polygons, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert scores == expected.scores.tolist()


@pytest.mark.parametrize("shape", ["polygon", "box"])
def test_specks_of_noise_have_the_packages_words(shape: Any) -> None:
    # Diamonds and squares of a few pixels, whose boxes' corners tie.
    rng = np.random.default_rng(8)
    settings = {**RECIPE, "min_size": 0, "max_candidates": 5000}
    for _ in range(5):
        stored = cv2.GaussianBlur(rng.integers(0, 256, (90, 120), dtype=np.uint8), (3, 3), 0)
        probability = stored.astype(np.float32) / np.float32(255)
        wanted = postprocess.PostprocessSettings(
            **{**settings, "thresh": 0.55}, shape=shape, candidate_order="contour"
        )
        expected = postprocess.extract_polygons(stored, np.eye(3), wanted)
        polygons, scores = extract_polygons(
            probability, np.eye(3), **{**settings, "thresh": 0.55}, shape=shape
        )
        assert len(polygons) > 50
        assert [word.tolist() for word in polygons] == [w.tolist() for w in expected.polygons]
        assert scores == expected.scores.tolist()


def test_a_rectangle_regrows_to_a_hand_derived_box() -> None:
    # Contour pixels 30..89 x 20..39: area 59 * 19 = 1121, perimeter 156, times 2: 14.4 pixels.
    probability = np.zeros((80, 120), dtype=np.float32)
    probability[20:40, 30:90] = 0.75
    matrix = np.array([[2.0, 0.0, 10.0], [0.0, 2.0, -12.0], [0.0, 0.0, 1.0]])
    polygons, scores = extract_polygons(probability, matrix, **RECIPE, shape="box")
    assert scores == [0.75]
    expected = [[42, 0], [216, 0], [216, 94], [42, 94]]
    np.testing.assert_allclose(polygons[0], expected, rtol=0, atol=2)


def test_specks_and_an_empty_map_have_no_words() -> None:
    probability = np.zeros((40, 40), dtype=np.float32)
    assert extract_polygons(probability, np.eye(3), **RECIPE) == ([], [])
    probability[10, 10] = probability[20:22, 20:22] = probability[30, 5:35] = 1.0
    for shape in ("polygon", "box"):
        found = extract_polygons(probability, np.eye(3), **RECIPE, shape=shape)  # type: ignore[arg-type]
        assert found == ([], [])
