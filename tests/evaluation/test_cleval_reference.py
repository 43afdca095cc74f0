"""Equal to the contest's and the reference implementation's counts on recorded pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from receipt_ocr.evaluation.cleval import (
    CLEvalSettings,
    PageScore,
    prepare_truth,
    score_page,
    score_pages,
    score_prepared,
)
from tests.golden import OUR_NAMES, as_polygons, load_contest

QUAD = CLEvalSettings(word_model="quad")


def assert_equal(score: PageScore, expected: dict[str, float], page: str) -> None:
    ours = {name: getattr(score, field) for name, field in OUR_NAMES.items()}
    assert ours == {name: expected[name] for name in OUR_NAMES}, page
    for share in ("recall", "precision", "hmean"):
        assert getattr(score, share) == pytest.approx(expected[share], rel=0, abs=1e-9), page


@pytest.fixture(scope="module")
def contest(shared: Path) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = load_contest(shared)["pages"]
    return pages


@pytest.fixture(scope="module")
def korean(shared: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((shared / "golden" / "korean_cleval.json").read_text())
    return data


def test_contest_pages_have_the_contests_counts(contest: list[dict[str, Any]]) -> None:
    for page in contest:
        words = prepare_truth(as_polygons(page["gt"]))
        for result in page["results"]:
            score = score_prepared(words, as_polygons(result["polygons"]))
            assert_equal(score, result["cleval"], f"{page['page']}, setting {result['setting']}")


def test_korean_pages_have_the_reference_counts_in_both_word_models(korean: dict[str, Any]) -> None:
    quads = []
    for page in korean["pages"]:
        truth, found = as_polygons(page["truth"]), as_polygons(page["detections"])
        ignored, name = page["ignored"], page["page"]
        quads.append(
            score_page(
                truth, found, transcriptions=page["transcriptions"], ignored=ignored, settings=QUAD
            )
        )
        assert_equal(quads[-1], page["quad_with_transcriptions"], name)
        assert_equal(score_page(truth, found), page["polygon"], name)
        assert_equal(score_page(truth, found, ignored=ignored), page["polygon_ignored"], name)
    corpus = score_pages(quads)
    assert corpus.corpus_recall == pytest.approx(korean["corpus_quad"]["recall"], abs=1e-12)
    assert corpus.corpus_precision == pytest.approx(korean["corpus_quad"]["precision"], abs=1e-12)
    assert corpus.corpus_hmean == pytest.approx(0.977989360950786, abs=1e-12)


def test_a_page_of_overlapping_words_is_less_than_perfect_against_itself(
    contest: list[dict[str, Any]],
) -> None:
    (page,) = (page for page in contest if page["page"] == "135")
    score = score_page(as_polygons(page["gt"]), as_polygons(page["gt"]))
    assert score.recall == pytest.approx(0.974, abs=5e-4)
    assert score.precision == pytest.approx(0.911, abs=5e-4)
