"""Pages on their way to the network: training batches and framed validation pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.batches import count_batches, plan_batches
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import Frame, fit_frame, place_page
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.samples import TrainingSamples

_VALIDATION_SHARE = 4
"""Validation pages take a quarter of the room for decoded pages."""


class FramedPage(NamedTuple):
    """One page in the network's frame, (3, H, W) uint8 RGB."""

    name: str
    image: Tensor
    frame: Frame


class FramedPages(Dataset[FramedPage]):
    """Pages at the recipe's final size, without augmentation."""

    def __init__(
        self, pages: Sequence[LabelledPage], recipe: Recipe, cache: tuple[Path, int] | None = None
    ) -> None:
        """Fit the frames; images are read when asked for, from a cache (folder, MiB) if given."""
        size, shape = recipe.frame.final_size, recipe.frame.shape
        self.pages = pages
        self.frames = [fit_frame(page.width, page.height, size, shape) for page in pages]
        folder, limit = cache or (None, 0)
        sizes = [(frame.inner_height, frame.inner_width) for frame in self.frames]
        self.cache = PageCache.for_stage(folder, size, sizes, limit)

    def __len__(self) -> int:
        """Count the pages."""
        return len(self.pages)

    def __getitem__(self, index: int) -> FramedPage:
        """Read and letterbox one page."""
        page, frame = self.pages[index], self.frames[index]
        resized = self.cache.load(index, page.path, (frame.inner_height, frame.inner_width))
        image = place_page(resized, frame).transpose(2, 0, 1)
        return FramedPage(page.name, torch.from_numpy(np.ascontiguousarray(image)), frame)


class PagesData(lightning.LightningDataModule):
    """Loaders of one training.

    The training loader is made anew every epoch: pages may change their size, and the samples
    depend on the epoch's number alone, so that a resumed training draws the same ones. Each of
    several processes takes its share of an epoch's batches and of the validation pages.
    """

    def __init__(
        self,
        training: Sequence[LabelledPage],
        validation: Sequence[LabelledPage],
        recipe: Recipe,
        cache_folder: Path | None = None,
    ) -> None:
        """Take the pages, at least one to learn from, and a folder for decoded ones."""
        super().__init__()
        self.training = training
        self.validation = validation
        self.recipe = recipe
        self.cache_folder = cache_folder

    def steps_per_epoch(self, processes: int = 1) -> int:
        """Count the optimiser's steps an epoch."""
        settings = self.recipe.training
        batches = count_batches(self.training, settings.batch_size, processes)
        return -(-batches // settings.accumulate)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Draw samples of every training page, at the current epoch's size and order."""
        recipe, settings = self.recipe, self.recipe.training
        epoch = self.trainer.current_epoch if self.trainer else 0
        draw = (settings.seed, epoch)
        pages, cache = self.training, self._cache("training")
        samples = TrainingSamples(
            pages, recipe.frame, recipe.augmentation, recipe.targets, draw, cache
        )
        batches = plan_batches(pages, recipe.frame, settings.batch_size, draw, self._share())
        return DataLoader(
            samples,  # type: ignore[arg-type]  # any map-style data set will do
            batch_sampler=batches,
            **self._loader_options(),
        )

    def val_dataloader(self) -> DataLoader[FramedPage] | list[Any]:
        """Give out validation pages one by one, as their frames may differ in size."""
        rank, processes = self._share()
        pages = self.validation[rank::processes]
        if not pages:
            return []
        framed = FramedPages(pages, self.recipe, self._cache("validation"))
        return DataLoader(framed, batch_size=None, **self._loader_options())

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move tensors to the device."""
        # Lightning would go into the frame as well, and cannot copy a frozen dataclass.
        if isinstance(batch, FramedPage):
            return batch._replace(image=batch.image.to(device, non_blocking=True))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _share(self) -> tuple[int, int]:
        """Number of this process, and how many there are."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)

    def _cache(self, side: str) -> tuple[Path, int] | None:
        limit = self.recipe.training.cache_mib
        if self.cache_folder is None or not limit:
            return None
        kept = limit // _VALIDATION_SHARE
        # Each process keeps its own validation pages, the same in every epoch. Training pages
        # change hands between epochs, so that all processes share one room.
        room = limit - kept if side == "training" else kept // self._share()[1]
        return self.cache_folder / side, room

    def _loader_options(self) -> dict[str, Any]:
        settings = self.recipe.training
        on_gpu = settings.accelerator != "cpu" and torch.cuda.is_available()
        options = {"num_workers": settings.workers, "pin_memory": on_gpu}
        return {**options, "worker_init_fn": _use_one_thread}  # there are several workers


def _use_one_thread(_: int) -> None:
    cv2.setNumThreads(0)
