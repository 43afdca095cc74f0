"""A search by plain code, box by box and point by point: it chooses what the package chooses."""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import plain_cleval, plain_postprocess
from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import prepare_truth
from receipt_ocr.search.grid import search_grid
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.settings import GridSettings
from tests.golden import as_polygons, load_contest, read_map

PAGES = ("005", "135")
GRID = GridSettings(
    thresh=(0.2, 0.4), box_thresh=(0.5, 0.8), unclip_ratio=(1.5, 2.2), min_size=(3.0, 12.0)
)
BASE = PostprocessSettings(candidate_order="contour")


def test_plain_code_finds_the_same_best_settings(shared: Path) -> None:
    recorded = {page["page"]: page for page in load_contest(shared)["pages"]}
    words = {name: as_polygons(recorded[name]["gt"]) for name in PAGES}
    maps: dict[str, LoadMap] = {name: partial(read_map, shared, recorded[name]) for name in PAGES}
    truths = {name: prepare_truth(polygons) for name, polygons in words.items()}
    with ScoreTable(maps, truths, BASE) as table:
        result = search_grid(table, GRID)

    names = ("thresh", "box_thresh", "unclip_ratio", "min_size")
    means = {}
    for point in product(*(getattr(GRID, name) for name in names)):
        settings = dict(zip(names, point, strict=True))
        hmeans = []
        for name, load in maps.items():
            found, _ = plain_postprocess.extract_polygons(
                load().values, load().map_to_page, max_candidates=BASE.max_candidates, **settings
            )
            hmeans.append(plain_cleval.hmean(plain_cleval.score_page(words[name], found)))
        means[point] = float(np.mean(hmeans))
    rows = [row["hmean"] for row in result.rows]
    assert rows == pytest.approx(list(means.values()), rel=0, abs=1e-12)
    first, second = sorted(means.values(), reverse=True)[:2]
    assert first > second + 1e-6  # no tie
    assert means[tuple(getattr(result.best, name) for name in names)] == first
