"""Synthetic receipts in the competition's layout: pages, words and JPEG files, by seed."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from receipt_ocr.synthesis.distortion import draw_warp, follow_curve
from receipt_ocr.synthesis.layout import PrintedPaper, SyntheticWord, print_receipt
from receipt_ocr.synthesis.photo import photograph
from receipt_ocr.synthesis.settings import SynthesisSettings
from receipt_ocr.synthesis.text import compose_receipt

__all__ = [
    "Orientation",
    "Receipt",
    "SyntheticPage",
    "SyntheticWord",
    "draw_receipt",
    "draw_receipts",
    "encode_receipt",
]

Orientation = Literal[1, 3, 6, 8]
"""EXIF tags of a phone: as stored; to be turned by half, to the right, to the left."""

Subset = Literal["train", "holdout", "test"]

_ATTEMPTS = 50

_ORIENTATION_TAG = 0x0112
_QUARTER_TURNS: dict[Orientation, int] = {1: 0, 3: 2, 6: 1, 8: 3}
"""Anticlockwise quarter turns that lead from the upright page to the stored pixels."""


@dataclass(frozen=True)
class Receipt:
    """A page with its words; ``image`` is (H, W, 3) uint8 RGB, everything in its upright frame."""

    image: NDArray[np.uint8]
    words: tuple[SyntheticWord, ...]


@dataclass(frozen=True)
class SyntheticPage:
    """A page as a file and its annotation.

    ``words`` is the JSON's block: id -> ``points`` (upright pixels, two decimals) and
    ``transcription``. ``width`` and ``height`` are upright, whatever the file's pixels are.
    """

    subset: Subset
    name: str
    jpeg: bytes
    words: dict[str, dict[str, object]]
    width: int
    height: int


def draw_receipt(settings: SynthesisSettings, *seed_parts: int) -> Receipt:
    """One receipt, photographed; the same settings and seed give the same pixels.

    Args:
        settings: Page size, number of words and strengths of the distortions.
        seed_parts: Numbers that name the page beside ``settings.seed``, such as its index.

    Raises:
        ValueError: If the words drawn do not fit on the page.
    """
    rng = np.random.default_rng([settings.seed, *seed_parts])
    width = int(rng.integers(settings.width_low, settings.width_high + 1))
    height = int(rng.integers(settings.height_low, settings.height_high + 1))
    paper = _print_fitting(rng, settings, width, height)
    printed = np.concatenate([word.polygon for word in paper.words])
    warp = draw_warp(rng, (paper.width, paper.height), (width, height), printed, settings)
    image = photograph(rng, paper.ink, warp, (width, height), settings)
    words = (
        SyntheticWord(follow_curve(word.polygon, warp), word.transcription) for word in paper.words
    )
    return Receipt(image, tuple(words))


def encode_receipt(receipt: Receipt, quality: int, orientation: Orientation = 1) -> bytes:
    """The page as a JPEG file, as a phone held that way stores it.

    Args:
        receipt: The upright page.
        quality: JPEG quality, 1 to 95.
        orientation: EXIF tag. Other than 1, the pixels are stored turned, and a reader that
            heeds the tag gets the upright page back.
    """
    stored = np.rot90(receipt.image, _QUARTER_TURNS[orientation])
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    tag = exif.tobytes() if orientation != 1 else b""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "JPEG", quality=quality, exif=tag)
    return file.getvalue()


def draw_receipts(settings: SynthesisSettings) -> Iterator[SyntheticPage]:
    """All pages of the three subsets, one at a time."""
    counts: dict[Subset, int] = {
        "train": settings.train,
        "holdout": settings.holdout,
        "test": settings.test,
    }
    for subset_index, (subset, count) in enumerate(counts.items()):
        for index in range(count):
            yield _draw_page(settings, subset, subset_index, index)


def _print_fitting(
    rng: np.random.Generator, settings: SynthesisSettings, width: int, height: int
) -> PrintedPaper:
    """The first of many compositions that fits the page."""
    word_count = int(rng.integers(settings.words_low, settings.words_high + 1))
    # A turned or curled sheet reaches farther than a flat one.
    slack = 1 - 0.06 * settings.perspective - 0.06 * settings.curl
    for _ in range(_ATTEMPTS):
        size = (int(width * slack * rng.uniform(0.86, 0.96)), int(height * slack))
        rows = compose_receipt(rng, word_count, settings.korean_share)
        paper = print_receipt(rows, rng, size, settings.min_text_height)
        if paper is not None:
            return paper
    raise ValueError(
        f"{word_count} words of {settings.min_text_height} px do not fit on a page of "
        f"{width} x {height} px: enlarge the page or lower words_high"
    )


def _draw_page(
    settings: SynthesisSettings, subset: Subset, subset_index: int, index: int
) -> SyntheticPage:
    receipt = draw_receipt(settings, subset_index, index)
    camera = np.random.default_rng([settings.seed, subset_index, index, 1])
    quality = int(camera.integers(settings.quality_low, settings.quality_high + 1))
    turned: tuple[Orientation, ...] = (3, 6, 8)
    is_turned = camera.random() < settings.exif_share
    orientation = turned[int(camera.integers(3))] if is_turned else 1
    words: dict[str, dict[str, object]] = {
        f"{number:04d}": {
            "points": np.round(word.polygon, 2).tolist(),
            "transcription": word.transcription,
        }
        for number, word in enumerate(receipt.words, start=1)
    }
    height, width = receipt.image.shape[:2]
    name = f"synthetic_{subset}_{index + 1:04d}.jpg"
    return SyntheticPage(
        subset, name, encode_receipt(receipt, quality, orientation), words, width, height
    )
