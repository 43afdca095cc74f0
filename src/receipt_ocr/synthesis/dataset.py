"""Draw synthetic receipts by seed: JPEG files and annotations as the competition has them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from receipt_ocr.synthesis.distortion import draw_warp, follow_curve
from receipt_ocr.synthesis.layout import PrintedPaper, SyntheticWord, print_receipt
from receipt_ocr.synthesis.photo import photograph
from receipt_ocr.synthesis.settings import SynthesisSettings
from receipt_ocr.synthesis.text import compose_receipt

Orientation = Literal[1, 3, 6, 8]
"""EXIF orientations that a phone writes: upright, upside down, and turned either way."""

Subset = Literal["train", "holdout", "test"]

_ATTEMPTS = 50  # compositions that are tried for a page

_ORIENTATION_TAG = 0x0112
_QUARTER_TURNS: dict[Orientation, int] = {1: 0, 3: 2, 6: 1, 8: 3}
"""Anticlockwise quarter turns from the upright page to the stored pixels."""


@dataclass(frozen=True)
class Receipt:
    """An upright page with its words."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    words: tuple[SyntheticWord, ...]
    """With polygons in pixels of the image."""


@dataclass(frozen=True)
class SyntheticPage:
    """A page as a file and its annotation."""

    subset: Subset
    name: str
    jpeg: bytes
    words: dict[str, dict[str, object]]
    """As the JSON has them: id -> ``points`` (upright pixels, two decimals), ``transcription``."""
    width: int
    """Upright, even if the file's pixels are stored turned."""
    height: int
    """Upright, as the width."""


def draw_receipt(settings: SynthesisSettings, *seed_parts: int) -> Receipt:
    """Draw one receipt as a phone photographs it; the same seed gives the same pixels.

    Args:
        settings: Page size, number of words and strengths of the distortions.
        seed_parts: Numbers that identify the page, such as its index; they are the seed together
            with ``settings.seed``.

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
    words = tuple(replace(word, polygon=follow_curve(word.polygon, warp)) for word in paper.words)
    return Receipt(image, words)


def encode_receipt(receipt: Receipt, quality: int, orientation: Orientation = 1) -> bytes:
    """Encode an upright page as a JPEG file, stored as a phone held in that orientation stores it.

    Unless the EXIF orientation is 1, the pixels are stored turned, and a reader that applies the
    tag gets the upright page back. ``quality`` is JPEG's, 1 to 95.
    """
    stored = np.rot90(receipt.image, _QUARTER_TURNS[orientation])
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    tag = exif.tobytes() if orientation != 1 else b""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "JPEG", quality=quality, exif=tag)
    return file.getvalue()


def draw_receipts(settings: SynthesisSettings) -> Iterator[SyntheticPage]:
    """Draw all pages of the three subsets, one at a time."""
    subsets: tuple[Subset, ...] = ("train", "holdout", "test")
    for subset_index, subset in enumerate(subsets):
        for index in range(getattr(settings, subset)):
            yield _draw_page(settings, subset, subset_index, index)


def _print_fitting(
    rng: np.random.Generator, settings: SynthesisSettings, width: int, height: int
) -> PrintedPaper:
    """Compose receipts until one fits the page."""
    word_count = int(rng.integers(settings.words_low, settings.words_high + 1))
    # A turned or curled sheet takes more room than a flat one.
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
    # A generator of its own, so that the page does not depend on how its file is stored.
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
