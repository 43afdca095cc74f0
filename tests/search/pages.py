"""Pages with known words for the tests of the search."""

from collections.abc import Mapping, Sequence
from functools import partial

import cv2
import numpy as np

from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import PageScore, TruthWords, prepare_truth, score_prepared
from receipt_ocr.geometry.polygons import Matrix, transform_polygon
from receipt_ocr.search.score_table import ScoreTable
from tests.polygon_strategies import box

TO_PAGE = np.array([[1.25, 0.0, -10.0], [0.0, 1.3, 0.0], [0.0, 0.0, 1.0]])

Page = tuple[ProbabilityMap, TruthWords]


def noisy_page(seed: int, map_to_page: Matrix = TO_PAGE) -> Page:
    """Seven words of different probability, one faint smear without a word, some noise."""
    random = np.random.default_rng(seed)
    probability = np.zeros((256, 256), dtype=np.float32)
    words = []
    for line in range(7):
        left, top = int(random.integers(10, 60)), 12 + 34 * line
        right, bottom = left + int(random.integers(60, 130)), top + int(random.integers(12, 20))
        words.append(transform_polygon(box(left, top, right, bottom), map_to_page))
        probability[top + 4 : bottom - 3, left + 4 : right - 3] = random.uniform(0.35, 1.0)
    probability[100:112, 220:250] = 0.4
    probability = cv2.GaussianBlur(probability, (5, 5), 0)
    probability += random.uniform(0, 0.05, probability.shape).astype(np.float32)
    page = ProbabilityMap.from_probability(probability.clip(0, 1), map_to_page, 310, 333)
    return page, prepare_truth(words)


def even_page(levels: Sequence[float], smears: Mapping[int, float]) -> Page:
    """Six words of the given probabilities, and smears without a word beside some lines."""
    values = np.zeros((220, 200), dtype=np.float32)
    for line, level in enumerate(levels):
        values[13 + 32 * line : 21 + 32 * line, 15:95] = level
    for line, level in smears.items():
        values[13 + 32 * line : 21 + 32 * line, 130:180] = level
    words = [box(10, 8 + 32 * line, 100, 26 + 32 * line) for line in range(len(levels))]
    return ProbabilityMap.from_probability(values, np.eye(3), 200, 220), prepare_truth(words)


def open_table(
    pages: Mapping[str, Page],
    base: PostprocessSettings,
    folds: Mapping[str, int] | None = None,
    workers: int = 1,
) -> ScoreTable:
    maps: dict[str, LoadMap] = {
        name: partial(lambda own: own, own) for name, (own, _) in pages.items()
    }
    truths = {name: truth for name, (_, truth) in pages.items()}
    return ScoreTable(maps, truths, base, folds, workers)


def score_plainly(page: Page, settings: PostprocessSettings) -> PageScore:
    """Extract and score a page without the search."""
    page_map, truth = page
    found = extract_polygons(page_map.probability, page_map.map_to_page, settings)
    return score_prepared(truth, found.polygons)
