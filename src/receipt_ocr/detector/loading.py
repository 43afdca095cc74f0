"""Pages on their way to the network: training batches and framed validation pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.letterbox import Frame, fit_frame, letterbox
from receipt_ocr.receipts.samples import LabelledPage, TrainingSamples, order_pages

__all__ = ["FramedPage", "FramedPages", "PagesData"]


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


class FramedPages(Dataset[FramedPage]):
    """Pages at the recipe's final size, undistorted."""

    def __init__(self, pages: Sequence[LabelledPage], recipe: Recipe) -> None:
        """Keep the pages; images are read one by one when asked for."""
        self.pages = pages
        self.recipe = recipe

    def __len__(self) -> int:
        """Number of pages."""
        return len(self.pages)

    def __getitem__(self, index: int) -> FramedPage:
        """Read and letterbox one page."""
        page = self.pages[index]
        settings = self.recipe.frame
        frame = fit_frame(page.width, page.height, settings.final_size, settings.shape)
        image = letterbox(read_upright(page.path), frame)
        return FramedPage(page.name, torch.from_numpy(image.transpose(2, 0, 1).copy()), frame)


class PagesData(lightning.LightningDataModule):
    """Loaders of one fold; the training loader is made anew every epoch.

    A new loader an epoch lets the size of the pages change between epochs, and makes the
    samples depend on the epoch's number alone.
    """

    def __init__(
        self, training: Sequence[LabelledPage], validation: Sequence[LabelledPage], recipe: Recipe
    ) -> None:
        """Pages to learn from and pages to judge by.

        Raises:
            ValueError: If either is empty.
        """
        super().__init__()
        if not training or not validation:
            raise ValueError(
                f"training needs pages on both sides, got {len(training)} to learn from "
                f"and {len(validation)} to judge by"
            )
        self.training = training
        self.validation = validation
        self.recipe = recipe

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; a last small batch is left out (batch norm cannot use it)."""
        size = self.recipe.training.batch_size
        return max(1, len(self.training) // size)

    def train_dataloader(self) -> DataLoader[dict[str, np.ndarray]]:
        """Random samples of every training page, at the current epoch's size and order."""
        settings = self.recipe.training
        epoch = self.trainer.current_epoch if self.trainer else 0
        samples = TrainingSamples(
            self.training,
            self.recipe.frame,
            self.recipe.augmentation,
            self.recipe.targets,
            draw=(settings.seed, epoch),
        )
        return DataLoader(
            samples,  # type: ignore[arg-type]  # any map-style data set will do
            batch_size=settings.batch_size,
            sampler=_FixedOrder(order_pages(len(samples), settings.seed, epoch)),
            drop_last=len(samples) >= settings.batch_size,
            num_workers=settings.workers,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[FramedPage]:
        """Validation pages one by one: their frames may differ in size."""
        return DataLoader(
            FramedPages(self.validation, self.recipe),
            batch_size=None,
            num_workers=self.recipe.training.workers,
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Tensors move to the device; of a framed page that is its image."""
        if isinstance(batch, FramedPage):  # frozen, which Lightning's own move cannot handle
            return replace(batch, image=batch.image.to(device))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


class _FixedOrder(Sampler[int]):
    def __init__(self, order: Sequence[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)
