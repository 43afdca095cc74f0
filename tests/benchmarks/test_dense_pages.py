"""The synthetic dense pages: they hold what they promise, for any number of words and points."""

from pathlib import Path

import numpy as np
import pytest
import shapely

import benchmarks
from benchmarks.dense_pages import DensePage, draw_page
from benchmarks.plain_cleval import hmean, score_page
from benchmarks.plain_postprocess import extract_polygons
from receipt_ocr.receipts.letterbox import fit_frame

KINDS = [(1, 4), (7, 8), (60, 4), (60, 24), (150, 24), (1000, 4), (1000, 24)]


def flat(page: DensePage) -> list[bytes]:
    outlines = (*page.truth, *page.detections)
    return [part.tobytes() for part in (*outlines, page.probability_map, page.map_to_page)]


@pytest.mark.parametrize(("words", "points"), KINDS)
def test_words_are_valid_outlines_in_whole_pixels_that_do_not_overlap(
    words: int, points: int
) -> None:
    page = draw_page(words, points)
    assert len(page.truth) == words
    width, height = page.page_size
    for outline in (*page.truth, *page.detections):
        assert outline.shape == (points, 2)
        assert outline.dtype == np.float64
        assert (outline == np.round(outline).clip(0, (width, height))).all()
        assert shapely.Polygon(outline).is_valid
    regions = [shapely.Polygon(word) for word in page.truth]
    first, second = shapely.STRtree(regions).query(regions, predicate="intersects")
    np.testing.assert_array_equal(first, second)  # each word meets itself only


@pytest.mark.parametrize("points", [4, 8, 24])
def test_the_upper_side_comes_first_and_the_lower_one_runs_back(points: int) -> None:
    for word in draw_page(150, points).truth:
        upper, lower = word[: points // 2], word[points // 2 :][::-1]
        assert (np.diff(upper[:, 0]) >= 0).all()
        assert upper[0, 0] < upper[-1, 0]
        np.testing.assert_allclose(upper[:, 0], lower[:, 0], rtol=0, atol=1)
        assert (upper[:, 1] < lower[:, 1]).all()


@pytest.mark.parametrize("points", [4, 24])
def test_detections_hold_the_promised_errors(points: int) -> None:
    page = draw_page(100, points)
    # 3 missed, 3 more by splits, 3 fewer by merges and 3 false ones.
    assert len(page.detections) == 100 - 3 + 3 - 3 + 3
    counts = score_page(page.truth, page.detections)
    assert counts["recall_penalty"] == counts["precision_penalty"] == 3
    assert counts["false_positives"] >= 3
    regions = [shapely.Polygon(word) for word in page.truth]
    tree = shapely.STRtree(regions)
    touched = [tree.query(shapely.Polygon(w), predicate="intersects") for w in page.detections]
    assert sum(len(words) == 0 for words in touched) == 3
    assert 100 - len(np.unique(np.concatenate(touched))) == 3
    assert 0.9 < hmean(counts) < 0.99


@pytest.mark.parametrize("size", [640, 960])
def test_the_map_is_a_letterbox_of_a_larger_page(size: int) -> None:
    page = draw_page(60, 4, size=size)
    width, height = page.page_size
    assert min(width, height) > size * 1.2
    frame = fit_frame(width, height, size)
    np.testing.assert_allclose(page.map_to_page, frame.map_to_page, rtol=1e-12)
    assert page.probability_map.shape == (size, size)
    assert page.probability_map.dtype == np.uint8
    assert not page.probability_map[:, : frame.left].any()


@pytest.mark.parametrize(("words", "points"), [(60, 4), (150, 24), (250, 12)])
def test_the_map_decodes_to_the_words(words: int, points: int) -> None:
    page = draw_page(words, points)
    probability = page.probability_map.astype(np.float32) / np.float32(255)
    settings = {"thresh": 0.3, "box_thresh": 0.4, "unclip_ratio": 2.0}
    found, _ = extract_polygons(probability, page.map_to_page, **settings, max_candidates=1000)
    assert len(found) == words
    counts = score_page(page.truth, found)
    assert counts["false_positives"] == counts["recall_penalty"] == counts["precision_penalty"] == 0
    assert hmean(counts) > 0.95  # short of 1 by characters at the ends of curved words


def test_the_seed_decides_everything() -> None:
    first = flat(draw_page(40, 24, seed=3))
    assert flat(draw_page(40, 24, seed=3)) == first
    assert not set(flat(draw_page(40, 24, seed=4))[:40]) & set(first[:40])


@pytest.mark.parametrize(
    ("words", "points", "size", "message"),
    [
        (0, 4, 960, "words must be from 1 to 1000, got 0"),
        (1001, 4, 960, "words must be from 1 to 1000, got 1001"),
        (10, 3, 960, "points must be 4 or an even number from 8 on, got 3"),
        (10, 6, 960, "points must be 4 or an even number from 8 on, got 6"),
        (10, 9, 960, "points must be 4 or an even number from 8 on, got 9"),
        (10, 4, 0, "size must be positive, got 0"),
        (1000, 4, 320, "1000 words do not fit on a page of 410 x 436 pixels"),
    ],
)
def test_pages_that_cannot_be_drawn_are_refused(
    words: int, points: int, size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_page(words, points, size=size)


def test_the_references_share_no_code_with_the_package() -> None:
    folder = Path(benchmarks.__file__).parent
    for name in ("plain_cleval", "plain_targets", "plain_postprocess", "dense_pages"):
        assert "receipt_ocr" not in (folder / f"{name}.py").read_text()
