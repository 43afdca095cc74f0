"""The search against plain calls, ties, the honest estimate and parallel pages."""

import json
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from receipt_ocr.decoding.maps import ProbabilityMap
from receipt_ocr.decoding.postprocess import PostprocessSettings, extract_polygons
from receipt_ocr.evaluation.cleval import TruthWords, prepare_truth, score_page, score_pages
from receipt_ocr.geometry.polygons import Matrix, Polygon, transform_polygon
from receipt_ocr.search.grid import GridResult, GridSettings, search_grid

TO_PAGE = np.array([[1.25, 0.0, -10.0], [0.0, 1.3, 0.0], [0.0, 0.0, 1.0]])
GRID = GridSettings(
    thresh=(0.2, 0.5), box_thresh=(0.3, 0.45, 0.7), unclip_ratio=(0.3, 4.0), max_candidates=(3, 100)
)

Page = tuple[ProbabilityMap, list[Polygon]]


def noisy_page(seed: int, words: int = 7) -> Page:
    """Words of different probability, one faint smear without a word, some noise."""
    random = np.random.default_rng(seed)
    probability = np.zeros((256, 256), dtype=np.float32)
    truths = []
    for line in range(words):
        left, top = int(random.integers(10, 60)), 12 + 34 * line
        right, bottom = left + int(random.integers(60, 130)), top + int(random.integers(12, 20))
        truths.append([[left, top], [right, top], [right, bottom], [left, bottom]])
        kernel = probability[top + 4 : bottom - 3, left + 4 : right - 3]
        kernel[:] = random.uniform(0.35, 1.0)
    probability[100:112, 220:250] = 0.4
    probability = cv2.GaussianBlur(probability, (5, 5), 0)
    probability += random.uniform(0, 0.05, probability.shape).astype(np.float32)
    page = ProbabilityMap.from_probability(probability.clip(0, 1), TO_PAGE, 310, 333)
    return page, [transform_polygon(np.array(word, dtype=float), TO_PAGE) for word in truths]


def load(page: ProbabilityMap) -> ProbabilityMap:
    return page


def search(
    pages: dict[str, Page],
    settings: GridSettings,
    base: PostprocessSettings | None = None,
    groups: dict[str, int] | None = None,
) -> GridResult:
    loaders: dict[str, Callable[[], ProbabilityMap]] = {
        name: partial(load, page) for name, (page, _) in pages.items()
    }
    truths = {name: prepare_truth(words) for name, (_, words) in pages.items()}
    return search_grid(loaders, truths, settings, base or PostprocessSettings(), groups)


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {f"page_{seed}": noisy_page(seed) for seed in range(4)}


@pytest.mark.parametrize("shape", ["polygon", "box"])
@pytest.mark.parametrize("candidate_order", ["score", "contour"])
def test_the_search_equals_plain_extraction_and_scoring_at_every_point(
    pages: dict[str, Page], shape: str, candidate_order: str
) -> None:
    base = PostprocessSettings(shape=shape, candidate_order=candidate_order)
    rows = search(pages, GRID, base).rows
    axes = (GRID.thresh, GRID.box_thresh, GRID.unclip_ratio, GRID.max_candidates)
    names = ("thresh", "box_thresh", "unclip_ratio", "max_candidates")
    for row, values in zip(rows, product(*axes), strict=True):
        point = dict(zip(names, values, strict=True))
        settings = PostprocessSettings(**{**base.model_dump(), **point})
        plain = score_pages(
            [
                score_page(
                    words,
                    extract_polygons(page.probability, page.map_to_page, settings).polygons,
                )
                for page, words in pages.values()
            ]
        )
        assert {name: row[name] for name in names} == point
        expected = (plain.recall, plain.precision, plain.hmean)
        assert (row["recall"], row["precision"], row["hmean"]) == pytest.approx(expected, abs=1e-12)
    for name in names:  # every setting matters on these pages
        others = [key for key in names if key != name]
        by_others: dict[tuple[float, ...], set[float]] = {}
        for row in rows:
            by_others.setdefault(tuple(row[key] for key in others), set()).add(row["hmean"])
        assert any(len(hmeans) > 1 for hmeans in by_others.values()), name


@pytest.mark.parametrize("setting", [0, 1, 2, 3])
def test_the_search_scores_recorded_pages_as_the_contest_does(shared: Path, setting: int) -> None:
    golden = json.loads((shared / "golden/postprocess_cleval.json").read_text())
    values = dict(golden["settings"][setting])
    shape = "polygon" if values.pop("use_polygon") else "box"
    # Values beside the contest's, so that its own point is one of many.
    halves = {key: type(value)(value / 2) for key, value in values.items()}
    grid = GridSettings(**{key: (value, halves[key]) for key, value in values.items()})
    base = PostprocessSettings(shape=shape, candidate_order="contour")
    for page in golden["pages"]:
        (expected,) = [r["cleval"] for r in page["results"] if r["setting"] == setting]
        stored = cv2.imread(str(shared / "golden" / page["map"]), cv2.IMREAD_GRAYSCALE)
        page_map = ProbabilityMap(
            stored.astype(np.uint8), np.array(page["map_to_page"]), page["width"], page["height"]
        )
        words = [np.array(flat, dtype=float).reshape(-1, 2) for flat in page["gt"]]
        row = search({"page": (page_map, words)}, grid, base).rows[0]
        assert {key: row[key] for key in values} == values
        for measure in ("recall", "precision", "hmean"):
            assert row[measure] == pytest.approx(expected[measure], rel=0, abs=1e-9)


def test_the_best_row_is_chosen_and_the_rest_of_the_base_is_kept(pages: dict[str, Page]) -> None:
    base = PostprocessSettings(min_size=4.0, candidate_order="contour")
    result = search(pages, GRID, base)
    top = max(row["hmean"] for row in result.rows)
    assert result.chosen_hmean == top
    best = result.best.model_dump()
    assert (best["min_size"], best["candidate_order"]) == (4.0, "contour")
    (row,) = [r for r in result.rows if all(best[key] == r[key] for key in list(r)[:5])]
    assert row["hmean"] == top


def test_ties_go_to_the_settings_nearest_to_the_base() -> None:
    # A page without words scores 0 at every point: all of them tie.
    blank = {"blank": (noisy_page(0)[0], [])}
    near = search(blank, GRID, PostprocessSettings(thresh=0.45, box_thresh=0.5, unclip_ratio=1.9))
    assert near.best.thresh == 0.5
    assert near.best.box_thresh == 0.45
    assert near.best.unclip_ratio == 0.3
    assert near.best.max_candidates == 100
    assert near.chosen_hmean == 0.0


def faint_and_plain() -> dict[str, Page]:
    """Two kinds of pages: one where only a low threshold finds the words, one where it harms."""
    pages = {}
    for index in range(4):
        page, words = noisy_page(index)
        values = page.values.copy()
        if index < 2:
            values *= 0.4  # every word is below 0.5: nothing is found at the high threshold
        else:
            values = np.maximum(values, 0.2)  # a stain: at the low threshold all is one word
        pages[f"page_{index}"] = (
            ProbabilityMap.from_probability(values, TO_PAGE, 310, 333),
            words,
        )
    return pages


def test_the_honest_estimate_scores_each_fold_with_the_choice_of_the_others() -> None:
    pages = faint_and_plain()
    groups = {"page_0": 0, "page_1": 0, "page_2": 1, "page_3": 1}
    grid = GridSettings(
        thresh=(0.12, 0.5), box_thresh=(0.1,), unclip_ratio=(2.0,), max_candidates=(600,)
    )
    result = search(pages, grid, groups=groups)
    low, high = (
        {
            name: score_page(
                words,
                extract_polygons(
                    page.probability,
                    TO_PAGE,
                    PostprocessSettings(thresh=thresh, box_thresh=0.1, unclip_ratio=2.0),
                ).polygons,
            ).hmean
            for name, (page, words) in pages.items()
        }
        for thresh in grid.thresh
    )
    # Fold 0 (faint) would take the low threshold, fold 1 (stained) the high one; held out, each
    # is scored with the other's choice.
    assert {fold: s.thresh for fold, s in result.fold_choices.items()} == {0: 0.5, 1: 0.12}
    expected = np.mean([high["page_0"], high["page_1"], low["page_2"], low["page_3"]])
    assert result.honest_hmean == pytest.approx(expected)
    assert result.chosen_hmean == pytest.approx(
        max(np.mean(list(low.values())), np.mean(list(high.values())))
    )
    assert result.optimism == pytest.approx(result.chosen_hmean - expected)
    assert result.optimism is not None
    assert result.optimism > 0


@pytest.mark.parametrize("groups", [None, {f"page_{k}": 3 for k in range(4)}])
def test_one_fold_has_no_honest_estimate(
    pages: dict[str, Page], groups: dict[str, int] | None
) -> None:
    grid = GridSettings(thresh=(0.3,), box_thresh=(0.4,), unclip_ratio=(2.0,))
    result = search(pages, grid, groups=groups)
    assert result.honest_hmean is None
    assert result.optimism is None
    assert result.fold_choices == {}


def test_the_number_of_processes_changes_nothing(pages: dict[str, Page]) -> None:
    groups = {name: index % 2 for index, name in enumerate(pages)}
    alone = search(pages, GRID, groups=groups)
    shared_out = search(pages, GRID.model_copy(update={"workers": 2}), groups=groups)
    assert shared_out == alone


def test_the_order_of_pages_changes_nothing(pages: dict[str, Page]) -> None:
    assert search(dict(reversed(pages.items())), GRID) == search(pages, GRID)


def test_other_pages_in_maps_truths_and_groups_are_refused() -> None:
    page, words = noisy_page(0)
    truth: TruthWords = prepare_truth(words)
    base = PostprocessSettings()
    with pytest.raises(ValueError, match="at least one page with a map, got none"):
        search_grid({}, {}, GRID, base)
    with pytest.raises(ValueError, match=r"maps and truths .* 2 are in one .*\['a', 'b'\]"):
        search_grid({"a": lambda: page}, {"b": truth}, GRID, base)
    with pytest.raises(ValueError, match=r"maps and groups .* 1 are in one .*\['a'\]"):
        search_grid({"a": lambda: page}, {"a": truth}, GRID, base, groups={})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thresh": ()}, "at least 1 item"),
        ({"thresh": (0.2, 1.2)}, "less than or equal to 1"),
        ({"box_thresh": (-0.1,)}, "greater than or equal to 0"),
        ({"unclip_ratio": (0.0,)}, "greater than 0"),
        ({"max_candidates": (0,)}, "greater than 0"),
        ({"box_thresh": (0.4, 0.3, 0.4)}, "each value must occur once"),
        ({"workers": 0}, "greater than 0"),
        ({"min_size": ()}, "at least 1 item"),
        ({"shape": ("box",)}, "Extra inputs"),
        ({"refine": {"trials": -1}}, "greater than or equal to 0"),
        ({"refine": {"seed": -1}}, "greater than or equal to 0"),
        ({"refine": {"seed": 2**32}}, "less than 4294967296"),
        ({"refine": {"steps": 3}}, "Extra inputs"),
    ],
)
def test_grids_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GridSettings(**values)


def test_the_default_grid_is_modest_and_holds_the_recipe() -> None:
    grid, recipe = GridSettings(), PostprocessSettings()
    sizes: NDArray[np.int64] = np.array(
        [len(getattr(grid, key)) for key in ("thresh", "box_thresh", "unclip_ratio")]
    )
    assert sizes.prod() * len(grid.max_candidates) <= 120
    for key in ("thresh", "box_thresh", "unclip_ratio", "max_candidates"):
        assert getattr(recipe, key) in getattr(grid, key)


def test_the_page_matrix_is_used() -> None:
    page, words = noisy_page(1)
    moved: Matrix = np.diag([2.0, 2.0, 1.0]) @ TO_PAGE
    doubled = ProbabilityMap(page.probability, moved, 620, 666)
    grid = GridSettings(thresh=(0.2,), box_thresh=(0.3,), unclip_ratio=(2.0,))
    plain = search({"a": (page, words)}, grid)
    twice = search({"a": (doubled, [word * 2 for word in words])}, grid)
    assert twice.chosen_hmean == pytest.approx(plain.chosen_hmean, abs=0.05)
    assert search({"a": (doubled, words)}, grid).chosen_hmean < 0.5
