"""Pages on their way to the network: training batches and framed validation pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import cv2
import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.batches import count_batches, plan_batches
from receipt_ocr.receipts.letterbox import Frame, fit_frame, place_page
from receipt_ocr.receipts.page_cache import PageCache
from receipt_ocr.receipts.samples import LabelledPage, SampleRequest, TrainingSamples

__all__ = ["FramedPage", "FramedPages", "PagesData"]

# What pages to judge by may take of the room for decoded pages.
_VALIDATION_SHARE = 4


@dataclass(frozen=True)
class FramedPage:
    """One page in the network's frame.

    Attributes:
        name: File name of the page.
        image: (3, H, W) uint8 RGB.
        frame: Where the page lies in it.
    """

    name: str
    image: Tensor
    frame: Frame

    def pin_memory(self) -> Self:
        """The page with its image in pinned memory, from where GPUs fetch it faster."""
        return replace(self, image=self.image.pin_memory())


class FramedPages(Dataset[FramedPage]):
    """Pages at the recipe's final size, undistorted."""

    def __init__(
        self, pages: Sequence[LabelledPage], recipe: Recipe, cache: tuple[Path, int] | None = None
    ) -> None:
        """Name the pages; images are read one by one when asked for.

        Args:
            pages: In the order in which they are given out.
            recipe: Whose frame they are brought to.
            cache: Folder for decoded pages and how many MiB it may hold; None decodes anew.
        """
        settings = recipe.frame
        self.pages = pages
        self.frames = [
            fit_frame(page.width, page.height, settings.final_size, settings.shape)
            for page in pages
        ]
        folder, limit = cache or (None, 0)
        sizes = [(frame.inner_height, frame.inner_width) for frame in self.frames]
        self.cache = PageCache.for_stage(folder, settings.final_size, sizes, limit)

    def __len__(self) -> int:
        """Number of pages."""
        return len(self.pages)

    def __getitem__(self, index: int) -> FramedPage:
        """Read and letterbox one page."""
        page, frame = self.pages[index], self.frames[index]
        resized = self.cache.load(index, page.path, (frame.inner_height, frame.inner_width))
        image = place_page(resized, frame).transpose(2, 0, 1)
        return FramedPage(page.name, torch.from_numpy(np.ascontiguousarray(image)), frame)


class PagesData(lightning.LightningDataModule):
    """Loaders of one fold; the training loader is made anew every epoch.

    A new loader an epoch lets the size of the pages change between epochs, and makes the
    samples depend on the epoch's number alone. Where several processes train together, each
    takes its share of an epoch's batches, and judges its share of the pages.
    """

    def __init__(
        self,
        training: Sequence[LabelledPage],
        validation: Sequence[LabelledPage],
        recipe: Recipe,
        cache_folder: Path | None = None,
    ) -> None:
        """Pages to learn from and pages to judge by.

        Args:
            training: At least one.
            validation: None of them for a training that is not judged.
            recipe: Frame, augmentation, targets and loaders.
            cache_folder: For decoded pages; None keeps none.

        Raises:
            ValueError: If there are no pages to learn from.
        """
        super().__init__()
        if not training:
            raise ValueError("training needs pages to learn from, got none")
        self.training = training
        self.validation = validation
        self.recipe = recipe
        self.cache_folder = cache_folder

    def steps_per_epoch(self, processes: int = 1) -> int:
        """Steps of the optimiser an epoch; a last small batch is left out (batch norm)."""
        settings = self.recipe.training
        batches = count_batches(self.training, settings.batch_size, processes)
        return -(-batches // settings.accumulate)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Random samples of every training page, at the current epoch's size and order."""
        settings = self.recipe.training
        epoch = self.trainer.current_epoch if self.trainer else 0
        draw = (settings.seed, epoch)
        samples = TrainingSamples(
            self.training,
            self.recipe.frame,
            self.recipe.augmentation,
            self.recipe.targets,
            draw=draw,
            cache=self._cache("training"),
        )
        batches = plan_batches(
            self.training, self.recipe.frame, settings.batch_size, draw, self._share()
        )
        return DataLoader(
            samples,  # type: ignore[arg-type]  # any map-style data set will do
            batch_sampler=_PlannedBatches(batches),
            **self._workers(),
        )

    def val_dataloader(self) -> DataLoader[FramedPage] | list[Any]:
        """Validation pages one by one, as their frames may differ in size; each on one process."""
        rank, processes = self._share()
        pages = self.validation[rank::processes]
        if not pages:
            return []
        return DataLoader(
            FramedPages(pages, self.recipe, self._cache("validation")),
            batch_size=None,
            **self._workers(),
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Tensors move to the device; of a framed page that is its image."""
        if isinstance(batch, FramedPage):  # frozen, which Lightning's own move cannot handle
            return replace(batch, image=batch.image.to(device, non_blocking=True))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _share(self) -> tuple[int, int]:
        """This process's number and how many there are."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)

    def _cache(self, side: str) -> tuple[Path, int] | None:
        limit = self.recipe.training.cache_mib
        if self.cache_folder is None or not limit:
            return None
        kept = limit // _VALIDATION_SHARE
        if side == "training":
            return self.cache_folder / side, limit - kept
        _, processes = self._share()  # each keeps pages of its own
        return self.cache_folder / side, kept // processes

    def _workers(self) -> dict[str, Any]:
        settings = self.recipe.training
        on_gpu = settings.accelerator != "cpu" and torch.cuda.is_available()
        return {
            "num_workers": settings.workers,
            "pin_memory": on_gpu,
            "worker_init_fn": _prepare_worker,
        }


def _prepare_worker(_: int) -> None:
    """One thread a worker: there are several of them."""
    cv2.setNumThreads(0)


class _PlannedBatches(Sampler[list[SampleRequest]]):
    def __init__(self, batches: Sequence[list[SampleRequest]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
