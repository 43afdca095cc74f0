"""Batches and framed pages as the training asks for them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from receipt_ocr.detector.loading import FramedPage, FramedPages, PagesData
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.letterbox import letterbox
from receipt_ocr.receipts.samples import LabelledPage, order_pages

Pages = list[LabelledPage]


def batches(data: PagesData, epoch: int) -> list[dict[str, torch.Tensor]]:
    trainer: Any = SimpleNamespace(current_epoch=epoch)  # all that the loader asks of a trainer
    data.trainer = trainer
    return list(data.train_dataloader())  # type: ignore[arg-type]  # torch collates the arrays


def test_batches_have_the_size_and_the_samples_of_their_epoch(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages
) -> None:
    data = PagesData(training_pages, validation_pages, recipe)
    first, second, third = (batches(data, epoch) for epoch in (0, 1, 2))
    assert data.steps_per_epoch == len(first) == 2  # the fifth page is left out
    assert first[0]["image"].shape == (2, 3, 64, 64)
    assert first[0]["shrink_map"].shape == (2, 1, 64, 64)
    assert second[0]["image"].shape == third[0]["image"].shape == (2, 3, 96, 96)
    assert first[0]["image"].dtype == torch.uint8
    assert not torch.equal(second[0]["image"], third[0]["image"])
    again = batches(data, 1)
    for one, other in zip(second, again, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_pages_come_in_the_order_of_their_epoch(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages
) -> None:
    data = PagesData(training_pages, validation_pages, recipe)
    batches(data, 3)
    sampler = data.train_dataloader().sampler
    assert list(sampler) == order_pages(5, recipe.training.seed, 3)
    assert len(sampler) == 5  # type: ignore[arg-type]


def test_fewer_pages_than_a_batch_make_one_step(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages
) -> None:
    data = PagesData(training_pages[:1], validation_pages, recipe)
    only = batches(data, 0)
    assert data.steps_per_epoch == len(only) == 1
    assert only[0]["image"].shape[0] == 1


def test_validation_pages_are_letterboxed_at_the_final_size(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages
) -> None:
    pages = FramedPages(validation_pages, recipe)
    assert len(pages) == 2
    data = PagesData(training_pages, validation_pages, recipe)
    for page, labelled in zip(data.val_dataloader(), validation_pages, strict=True):
        assert page.name == labelled.name
        assert page.image.shape == (3, 96, 96)
        assert (page.frame.page_width, page.frame.page_height) == (96, 128)
        assert (page.frame.inner_width, page.frame.inner_height) == (72, 96)
    image = np.full((128, 96, 3), 20, dtype=np.uint8)
    assert pages[0].image.max() > letterbox(image, pages[0].frame).max()


def test_a_framed_page_moves_its_image(
    recipe: Recipe, training_pages: Pages, validation_pages: Pages
) -> None:
    data = PagesData(training_pages, validation_pages, recipe)
    meta = torch.device("meta")
    page = data.transfer_batch_to_device(FramedPages(validation_pages, recipe)[0], meta, 0)
    assert isinstance(page, FramedPage)
    assert page.image.device == meta
    batch = data.transfer_batch_to_device({"image": torch.zeros(1)}, meta, 0)
    assert batch["image"].device == meta


@pytest.mark.parametrize(("training", "validation"), [(0, 1), (1, 0)])
def test_both_sides_need_pages(
    recipe: Recipe, training_pages: Pages, training: int, validation: int
) -> None:
    with pytest.raises(ValueError, match=f"got {training} to learn from and {validation} to judge"):
        PagesData(training_pages[:training], training_pages[:validation], recipe)
