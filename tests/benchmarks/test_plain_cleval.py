"""The plain scoring: equal to the recorded counts, to a hand count and to the package's."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dense_pages import draw_page
from benchmarks.plain_cleval import WordModel, hmean, score_page
from receipt_ocr.evaluation import cleval
from tests.golden import OUR_NAMES, as_polygons, load_contest
from tests.polygon_strategies import box

CONTEST_PAGES = {"005", "135", "213", "317", "395", "603"}
# Don't-care words, many false positives, splits and merges occur on them.
KOREAN_PAGES = {"03638", "03689", "06477", "07576", "07761", "25686"}


def assert_recorded(counts: dict[str, int], expected: dict[str, float], page: str) -> None:
    assert counts == {ours: expected[name] for name, ours in OUR_NAMES.items()}, page
    assert hmean(counts) == pytest.approx(expected["hmean"], rel=0, abs=1e-12), page


def assert_same_as_the_package(truth: Any, found: Any, model: WordModel, **labels: Any) -> None:
    settings = cleval.CLEvalSettings(word_model=model)
    expected = cleval.score_page(truth, found, settings=settings, **labels)
    counts = score_page(truth, found, word_model=model, **labels)
    assert counts == {name: getattr(expected, name) for name in OUR_NAMES.values()}
    assert hmean(counts) == pytest.approx(expected.hmean, rel=0, abs=1e-12)


def test_contest_pages_have_the_recorded_counts(shared: Path) -> None:
    chosen = [page for page in load_contest(shared)["pages"] if page["page"] in CONTEST_PAGES]
    assert len(chosen) == len(CONTEST_PAGES)
    for page in chosen:
        truth = as_polygons(page["gt"])
        for result in page["results"]:
            counts = score_page(truth, as_polygons(result["polygons"]))
            assert_recorded(counts, result["cleval"], f"{page['page']}, {result['setting']}")


def test_korean_pages_have_the_recorded_counts_in_all_variants(shared: Path) -> None:
    pages = json.loads((shared / "golden" / "korean_cleval.json").read_text())["pages"]
    chosen = [page for page in pages if page["page"][-5:] in KOREAN_PAGES]
    assert len(chosen) == len(KOREAN_PAGES)
    for page in chosen:
        truth, found = as_polygons(page["truth"]), as_polygons(page["detections"])
        ignored, texts, name = page["ignored"], page["transcriptions"], page["page"]
        quad = score_page(truth, found, transcriptions=texts, ignored=ignored, word_model="quad")
        assert_recorded(quad, page["quad_with_transcriptions"], name)
        assert_recorded(score_page(truth, found), page["polygon"], name)
        without = score_page(truth, found, ignored=ignored)
        assert_recorded(without, page["polygon_ignored"], name)


@pytest.mark.parametrize("points", [4, 24])
def test_dense_pages_have_the_packages_counts(points: int) -> None:
    page = draw_page(60, points)
    assert_same_as_the_package(page.truth, page.detections, "polygon")
    ignored = [index % 7 == 3 for index in range(60)]
    texts = ["x" * (index % 9) if index % 5 else None for index in range(60)]
    labels: dict[str, Any] = {"ignored": ignored, "transcriptions": texts}
    assert_same_as_the_package(page.truth, page.detections, "polygon", **labels)
    if points == 4:
        assert_same_as_the_package(page.truth, page.detections, "quad", **labels)


def test_odd_and_self_crossing_outlines_have_the_packages_counts() -> None:
    page = draw_page(40, 24, seed=1)
    truth = [word[:-1] if index % 3 else word for index, word in enumerate(page.truth)]
    found = [word.copy() for word in page.detections]
    for word in [*truth[::4], *found[::5]]:
        word[[5, 17]] = word[[17, 5]]  # the upper side meets the lower one
    assert_same_as_the_package(truth, found, "polygon", ignored=[k % 5 == 2 for k in range(40)])


def test_a_word_cut_in_two_and_a_false_positive_are_counted_by_hand() -> None:
    # 42 x 10 pixels: round(0.5 + 4.2) = 5 characters, centred at 4, 12, 20.5, 29 and 37.5.
    left, right = box(0, 0, 20, 10), box(20, 0, 42, 10)
    square = box(100, 100, 110, 110)  # counts as one character
    counts = score_page([box(0, 0, 42, 10)], [left, right, square])
    assert [counts[name] for name in OUR_NAMES.values()] == [5, 2 + 3 + 1, 5, 1, 1, 0]
    # Recall (5 - 1) / 5, precision 5 / 6.
    assert hmean(counts) == pytest.approx(40 / 49)
