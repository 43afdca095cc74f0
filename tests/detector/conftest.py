"""Drawn pages and a recipe so small that a training takes a second."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from receipt_ocr.detector.settings import NetworkSettings, Recipe, TrainingSettings
from receipt_ocr.receipts.samples import LabelledPage
from receipt_ocr.receipts.settings import FrameSettings

PageMaker = Callable[[str], LabelledPage]


@pytest.fixture
def recipe() -> Recipe:
    """A tiny network, pages of 64 and then 96 pixels, two epochs, one thread."""
    return Recipe(
        network=NetworkSettings(
            encoder="test_resnet", pretrained=False, inner_channels=16, output_channels=4
        ),
        frame=FrameSettings(sizes={0: 64, 1: 96}),
        training=TrainingSettings(
            epochs=2, batch_size=2, workers=0, threads=1, accelerator="cpu", optimizer="adamw"
        ),
    )


@pytest.fixture
def draw_page(tmp_path: Path) -> PageMaker:
    """Makes a page of 96 x 128 pixels with three dark bars, each a word."""

    def draw(name: str) -> LabelledPage:
        rng = np.random.default_rng(sum(name.encode()))
        pixels = np.full((128, 96, 3), 230, dtype=np.uint8)
        polygons = []
        for top in (12, 52, 92):
            left, right = int(rng.integers(6, 20)), int(rng.integers(70, 90))
            pixels[top : top + 20, left:right] = 20
            corners = [[left, top], [right, top], [right, top + 20], [left, top + 20]]
            polygons.append(np.array(corners, dtype=np.float64))
        file = tmp_path / "pages" / name
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(file)
        return LabelledPage(name, file, 96, 128, polygons, [False] * 3)

    return draw


@pytest.fixture
def training_pages(draw_page: PageMaker) -> list[LabelledPage]:
    """Five pages: two batches and a page left over."""
    return [draw_page(f"train_{number}.png") for number in range(5)]


@pytest.fixture
def validation_pages(draw_page: PageMaker) -> list[LabelledPage]:
    """Two pages to judge by."""
    return [draw_page(f"validation_{number}.png") for number in range(2)]
