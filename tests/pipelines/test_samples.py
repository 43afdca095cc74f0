"""The contact sheet of training samples, as its node draws it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pillow import ImageDataset
from PIL import Image

from receipt_ocr.detector.settings import Experiments
from receipt_ocr.pipelines import samples
from receipt_ocr.pipelines.samples.nodes import draw_training_samples

WORD = [20, 40, 100, 40, 100, 70, 20, 70]


def make_tables(folder: Path, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """White pages of several shapes with one word each, and a holdout page that has no file."""
    pages, words = [], []
    for number in range(count):
        name, width = f"{number}.png", 120 + 8 * number
        Image.new("RGB", (width, 160), "white").save(folder / name)
        pages.append((name, "train", name, width, 160, True))
        words.append((name, "train", WORD, False))
    pages.append(("other.png", "holdout", "other.png", 120, 160, True))
    columns = ["page", "subset", "path", "width", "height", "has_truth"]
    of_words = ["page", "subset", "polygon", "ignored"]
    return pd.DataFrame(pages, columns=columns), pd.DataFrame(words, columns=of_words)


def experiments(**changes: Any) -> Experiments:
    recipe = {"frame": {"sizes": {0: 96, 2: 160}}, "training": {"batch_size": 2}}
    return Experiments.model_validate(
        {"selected": "a", "recipe": recipe, "variants": {"a": changes}}
    )


LIVELY = {"rotation": 5, "perspective": 0.05, "pixels": [{"name": "ISONoise", "p": 1.0}]}


@pytest.mark.parametrize(
    "frame", [{"shape": "square"}, {"shape": "page"}, {"crop": [64, 96]}], ids=str
)
def test_a_sheet_is_drawn_of_every_kind_of_frame(frame: dict[str, Any], tmp_path: Path) -> None:
    pages, words = make_tables(tmp_path, 7)
    given = {
        "params:experiments": experiments(frame=frame, augmentation=LIVELY),
        "params:epoch": 1,  # and 2, which has larger pages
        **{"pages": pages, "words": words, "raw_receipts": tmp_path},
    }
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
    catalog["augmentation_sheet"] = ImageDataset(filepath=str(tmp_path / "sheet.png"))
    SequentialRunner().run(samples.create_pipeline(), catalog)
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    # Six pages at two epochs in three columns: four rows of 640 pixels.
    assert 4 * 640 < sheet.shape[0] < 4 * 640 + 250
    assert len(np.unique(sheet[::4, ::4, 2])) > 100  # noise: the colours were changed


def test_the_same_call_draws_the_same_sheet(tmp_path: Path) -> None:
    pages, words = make_tables(tmp_path, 3)
    settings = experiments(augmentation=LIVELY)
    drawn = [draw_training_samples(settings, pages, words, tmp_path, epoch) for epoch in (0, 0, 1)]
    first, same, other = map(np.array, drawn)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_one_page_is_enough_and_none_is_not(tmp_path: Path) -> None:
    pages, words = make_tables(tmp_path, 1)
    sheet = draw_training_samples(experiments(), pages, words, tmp_path, 0)
    assert isinstance(sheet, Image.Image)
    with pytest.raises(ValueError, match="no train page with labels"):
        draw_training_samples(experiments(), pages.iloc[1:], words, tmp_path, 0)


@pytest.mark.parametrize("epoch", [-1, 1.5, "0", True, None])
def test_an_epoch_that_cannot_be_is_named(epoch: Any, tmp_path: Path) -> None:
    pages, words = make_tables(tmp_path, 1)
    with pytest.raises(ValueError, match="epoch must be a whole number from 0, got"):
        draw_training_samples(experiments(), pages, words, tmp_path, epoch)


def test_a_wrong_transform_is_named_before_a_page_is_read(tmp_path: Path) -> None:
    pages, words = make_tables(tmp_path, 1)
    (tmp_path / "0.png").unlink()
    wrong = experiments(augmentation={"pixels": [{"name": "JpegCompression"}]})
    with pytest.raises(ValueError, match=r"JpegCompression.*ImageCompression"):
        draw_training_samples(wrong, pages, words, tmp_path, 0)
