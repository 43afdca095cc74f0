"""Batches and framed pages as the training asks for them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.batches import order_pages, plan_batches
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import letterbox
from receipt_ocr.training.loading import FramedPage, FramedPages, PagesData
from tests.training.small_training import change

Pages = list[LabelledPage]


def make_trainer(epoch: int, rank: int = 0, processes: int = 1) -> Any:
    """All that the loaders ask of a trainer."""
    return SimpleNamespace(current_epoch=epoch, global_rank=rank, world_size=processes)


def batches(data: PagesData, epoch: int) -> list[dict[str, torch.Tensor]]:
    data.trainer = make_trainer(epoch)
    return list(data.train_dataloader())  # type: ignore[arg-type]  # torch collates the arrays


@pytest.fixture
def data(recipe: Recipe, training_pages: Pages, validation_pages: Pages) -> PagesData:
    return PagesData(training_pages, validation_pages, recipe)


def test_batches_have_the_size_and_the_samples_of_their_epoch(data: PagesData) -> None:
    first, second, third = (batches(data, epoch) for epoch in (0, 1, 2))
    assert data.steps_per_epoch() == len(first) == 2  # the fifth page is left out
    assert first[0]["image"].shape == (2, 3, 64, 64)
    assert first[0]["shrink_map"].shape == (2, 1, 64, 64)
    assert second[0]["image"].shape == third[0]["image"].shape == (2, 3, 96, 96)
    assert first[0]["image"].dtype == torch.uint8
    assert not torch.equal(second[0]["image"], third[0]["image"])
    again = batches(data, 1)
    for one, other in zip(second, again, strict=True):
        assert one["page"] == other["page"]
        assert all(torch.equal(one[name], other[name]) for name in one if name != "page")


def test_pages_come_in_the_order_of_their_epoch(data: PagesData, recipe: Recipe) -> None:
    batches(data, 3)
    plan = data.train_dataloader().batch_sampler
    assert plan is not None
    assert list(plan) == plan_batches(data.training, recipe.frame, 2, (42, 3))
    order = order_pages(5, recipe.training.seed, 3)
    assert [[request.page for request in batch] for batch in plan] == [order[:2], order[2:4]]
    assert len(plan) == 2  # type: ignore[arg-type]


def test_processes_share_batches_and_validation_pages(data: PagesData, recipe: Recipe) -> None:
    training, scored = data.training[:4], [*data.validation, data.training[4]]
    data = PagesData(training, scored, recipe)
    seen: list[list[str]] = []
    trained: list[list[str]] = []
    for rank in range(2):
        data.trainer = make_trainer(0, rank, 2)
        seen.append([page.name for page in data.val_dataloader()])
        trained.append([name for batch in data.train_dataloader() for name in batch["page"]])
    assert seen == [[scored[0].name, scored[2].name], [scored[1].name]]
    assert [len(names) for names in trained] == [2, 2]
    assert sorted(trained[0] + trained[1]) == [page.name for page in training]
    assert (data.steps_per_epoch(), data.steps_per_epoch(2)) == (2, 1)


def test_steps_count_accumulated_batches(recipe: Recipe, training_pages: Pages) -> None:
    data = PagesData(training_pages, [], change(recipe, accumulate=2, batch_size=1))
    assert data.steps_per_epoch() == 3  # of 2, 2 and 1 pages
    assert PagesData(training_pages[:1], [], recipe).steps_per_epoch() == 1


def test_workers_draw_the_same_samples(data: PagesData, tmp_path: Path) -> None:
    busy, alone = change(data.recipe, workers=2), batches(data, 1)
    data = PagesData(data.training, data.validation, busy, tmp_path / "decoded")
    for _ in range(2):  # the second time from the decoded pages
        for one, other in zip(alone, batches(data, 1), strict=True):
            assert one["page"] == other["page"]
            assert torch.equal(one["image"], other["image"])
    assert len(list((tmp_path / "decoded").rglob("*.npy"))) == 4


def test_validation_pages_are_letterboxed_at_the_final_size(data: PagesData) -> None:
    pages = FramedPages(data.validation, data.recipe)
    assert len(pages) == 2
    for page, labelled in zip(data.val_dataloader(), data.validation, strict=True):
        assert page.name == labelled.name
        assert page.image.shape == (3, 96, 96)
        assert (page.frame.page_width, page.frame.page_height) == (96, 128)
        assert (page.frame.inner_width, page.frame.inner_height) == (72, 96)
    image = np.full((128, 96, 3), 20, dtype=np.uint8)
    assert pages[0].image.max() > letterbox(image, pages[0].frame).max()


def test_a_framed_page_moves_its_image(data: PagesData) -> None:
    meta, framed = torch.device("meta"), FramedPages(data.validation, data.recipe)
    page = data.transfer_batch_to_device(framed[0], meta, 0)
    assert isinstance(page, FramedPage)
    assert page.image.device == meta
    batch = data.transfer_batch_to_device({"image": torch.zeros(1)}, meta, 0)
    assert batch["image"].device == meta


def test_there_need_be_no_validation_pages(recipe: Recipe, training_pages: Pages) -> None:
    assert list(PagesData(training_pages, [], recipe).val_dataloader()) == []
