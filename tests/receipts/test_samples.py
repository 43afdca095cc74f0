"""Training samples: what they hold, and that they depend on seed, epoch and page alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from receipt_ocr.geometry.polygons import rectangle
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.samples import SampleRequest, TrainingSamples
from receipt_ocr.receipts.settings import AugmentationSettings, FrameSettings, TargetSettings

LIVELY = AugmentationSettings(rotation=5.0, scale_low=0.8, scale_high=1.2, brightness=0.3)
STILL = AugmentationSettings(horizontal_flip=0.0)
FRAME = FrameSettings(sizes={0: 96, 2: 160})


@pytest.fixture
def pages(tmp_path: Path) -> list[LabelledPage]:
    """Two noise pages of 120 x 160 pixels, one word each; the second page's is don't-care."""
    rng = np.random.default_rng(0)
    word = rectangle(20, 40, 100, 70)
    made = []
    for number in range(2):
        file = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (160, 120, 3), dtype=np.uint8)).save(file)
        made.append(LabelledPage(file.name, file, 120, 160, [word], [bool(number)]))
    return made


def make_samples(
    pages: list[LabelledPage],
    epoch: int = 0,
    seed: int = 7,
    crop: tuple[int, int] | None = None,
    augmentation: AugmentationSettings = LIVELY,
) -> TrainingSamples:
    frame = FRAME.model_copy(update={"crop": crop})
    return TrainingSamples(pages, frame, augmentation, TargetSettings(), draw=(seed, epoch))


@pytest.mark.parametrize(
    ("epoch", "crop", "size"),
    [(0, None, (96, 96)), (1, None, (96, 96)), (2, None, (160, 160)), (2, (64, 96), (64, 96))],
)
def test_a_sample_is_an_image_and_four_maps_of_the_epochs_size(
    pages: list[LabelledPage], epoch: int, crop: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    samples = make_samples(pages, epoch, crop=crop)
    assert len(samples) == 2
    sample = samples[0]
    assert sample["image"].shape == (3, *size)
    assert sample["image"].dtype == np.uint8
    assert sample["image"].flags.c_contiguous
    names = ["shrink_map", "shrink_mask", "threshold_map", "threshold_mask"]
    assert list(sample) == ["page", "image", *names]
    assert sample["page"] == "0.png"
    for name in names:
        assert sample[name].shape == (1, *size)
        assert sample[name].dtype == (np.float32 if name == "threshold_map" else np.uint8)


def test_the_targets_lie_on_the_word(pages: list[LabelledPage]) -> None:
    sample = make_samples(pages, epoch=2, augmentation=STILL)[0]
    # The page fills the height and is shifted to the side by whole pixels.
    left = int(np.flatnonzero(sample["image"].any(axis=(0, 1)))[0])
    rows, columns = np.nonzero(sample["shrink_map"][0])
    # Offset 80 * 30 * 0.84 / 220 = 9.16 pixels on every side of the word.
    assert (rows.min(), rows.max()) == (49, 61)
    assert (columns.min() - left, columns.max() - left) == (29, 91)
    # Only the page itself counts, not what pads it to a square.
    on_page = np.zeros((160, 160), dtype=np.uint8)
    on_page[:, left : left + 120] = 1
    np.testing.assert_array_equal(sample["shrink_mask"][0], on_page)
    assert not (sample["threshold_mask"][0] & (1 - on_page)).any()


def test_a_window_may_be_asked_for(pages: list[LabelledPage]) -> None:
    sample = make_samples(pages, epoch=2, augmentation=STILL)[SampleRequest(0, 160, 128)]
    assert sample["image"].shape == (3, 160, 128)
    assert sample["shrink_mask"].sum() == 160 * 120
    lively = make_samples(pages, epoch=2)
    first, second = (lively[SampleRequest(0, 160, 160, visit)] for visit in (0, 1))
    assert not np.array_equal(first["image"], second["image"])


def test_decoded_pages_are_kept_and_give_the_same_samples(
    pages: list[LabelledPage], tmp_path: Path
) -> None:
    cache = (tmp_path / "cache", 1)
    cached = TrainingSamples(pages, FRAME, LIVELY, TargetSettings(), draw=(7, 0), cache=cache)
    for _ in range(2):
        assert same(make_samples(pages), cached, 0)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1


def test_a_word_that_does_not_count_is_masked(pages: list[LabelledPage]) -> None:
    sample = make_samples(pages, epoch=2, augmentation=STILL)[1]
    assert not sample["shrink_map"].any()
    assert sample["shrink_mask"].sum() == 160 * 120 - 81 * 31  # both edges are the word's


def same(first: TrainingSamples, second: TrainingSamples, index: int) -> bool:
    pairs = zip(first[index].values(), second[index].values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_a_sample_depends_on_seed_epoch_and_page_alone(pages: list[LabelledPage]) -> None:
    samples = make_samples(pages)
    samples[1]  # who was drawn before does not matter
    assert same(samples, make_samples(pages), 0)
    assert same(samples, make_samples(pages), 1)
    assert not same(samples, make_samples(pages, epoch=1), 0)
    assert not same(samples, make_samples(pages, seed=8), 0)
    twins = make_samples([pages[0], pages[0]])
    assert not np.array_equal(twins[0]["image"], twins[1]["image"])


def test_a_page_without_words_gives_a_sample(pages: list[LabelledPage]) -> None:
    blank = LabelledPage(pages[0].name, pages[0].path, 120, 160, [], [])
    sample = make_samples([blank])[0]
    assert not sample["shrink_map"].any()
    assert sample["shrink_mask"].any()
