"""A small network overfits one page; if it cannot, the finding says why."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from receipt_ocr.checks import overfit
from receipt_ocr.checks.overfit import overfit_page
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.settings import LossSettings, Recipe
from receipt_ocr.receipts.labelled_pages import LabelledPage

PageMaker = Callable[[str], LabelledPage]


def test_a_page_is_learnt_by_heart(recipe: Recipe, draw_page: PageMaker) -> None:
    result = overfit_page(recipe, draw_page("page.png"), seconds=60, max_steps=150)
    assert result.hmean > 0.9
    assert result.loss_after < result.loss_before
    assert result.finding.level == "ok"
    assert result.steps <= 150
    assert len(result.detections.polygons) >= 3


def test_steps_and_seed_decide_the_result(recipe: Recipe, draw_page: PageMaker) -> None:
    page = draw_page("page.png")
    results = [overfit_page(recipe, page, seconds=1e6, max_steps=3) for _ in range(2)]
    assert results[0].loss_after == results[1].loss_after
    assert results[0].steps == results[1].steps == 3


def test_the_random_state_of_torch_is_left_alone(recipe: Recipe, draw_page: PageMaker) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    overfit_page(recipe, draw_page("page.png"), max_steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_settings_that_hide_the_words_are_a_problem(recipe: Recipe, draw_page: PageMaker) -> None:
    blind = recipe.model_copy(update={"postprocess": PostprocessSettings(min_size=500)})
    result = overfit_page(blind, draw_page("page.png"), seconds=1e6, max_steps=40)
    assert result.hmean == 0.0
    assert result.loss_after < result.loss_before
    assert result.finding.level == "problem"
    assert "postprocess" in result.finding.advice


def test_a_network_that_does_not_learn_is_a_problem(
    recipe: Recipe, draw_page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfit, "LEARNING_RATE", 1e-9)
    result = overfit_page(recipe, draw_page("page.png"), seconds=1e6, max_steps=30)
    assert result.finding.level == "problem"
    assert "does not learn" in result.finding.advice


def test_a_loss_that_is_no_number_ends_the_test(recipe: Recipe, draw_page: PageMaker) -> None:
    broken = recipe.model_copy(update={"loss": LossSettings(shrink_weight=1e39)})
    result = overfit_page(broken, draw_page("page.png"), max_steps=50)
    assert result.steps < 50
    assert result.finding.level == "problem"
    assert "no number" in result.finding.advice


def test_few_steps_prove_nothing(recipe: Recipe, draw_page: PageMaker) -> None:
    result = overfit_page(recipe, draw_page("page.png"), seconds=1e6, max_steps=2)
    assert result.finding.level == "warning"
    assert "idle machine or a GPU" in result.finding.advice


def test_a_page_without_words_is_refused(recipe: Recipe, draw_page: PageMaker) -> None:
    page = draw_page("page.png")
    for nothing in (replace(page, polygons=[], ignored=[]), replace(page, ignored=[True] * 3)):
        with pytest.raises(ValueError, match="no words to learn"):
            overfit_page(recipe, nothing)
