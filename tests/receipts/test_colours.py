"""Colours of samples: a seed decides them, and a wrong transform is named before the first page."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from receipt_ocr.receipts.colours import check_pixels, recolour
from receipt_ocr.receipts.settings import AugmentationSettings

BASE = Path(__file__).resolve().parents[2] / "conf" / "base" / "parameters_experiments.yml"
RECEIPTS = yaml.safe_load(BASE.read_text(encoding="utf-8"))["experiments"]["variants"][
    "convnext_tiny_augmented"
]["augmentation"]
FURTHER = [{"name": name} for name in ["Illumination", "PlasmaShadow", "RandomFog", "RandomGamma"]]
FURTHER += [{"name": name} for name in ["Sharpen", "Defocus", "CLAHE", "ToGray", "GaussNoise"]]


def noise(height: int = 64, width: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels(*transforms: dict[str, Any]) -> AugmentationSettings:
    return AugmentationSettings.model_validate({"pixels": transforms})


def digest(settings: AugmentationSettings, seeds: int = 6) -> str:
    changed = [recolour(noise(), settings, seed).tobytes() for seed in range(seeds)]
    return hashlib.sha256(b"".join(changed)).hexdigest()


SIMPLE = AugmentationSettings(brightness=0.3, contrast=0.3, blur=0.5)
EACH = {given["name"]: pixels({**given, "p": 1.0}) for given in (*RECEIPTS["pixels"], *FURTHER)}


@pytest.mark.parametrize("settings", [SIMPLE, *EACH.values()], ids=["simple", *EACH])
def test_colours_depend_on_the_seed_alone(settings: AugmentationSettings) -> None:
    image = noise()
    changed = [recolour(image, settings, seed) for seed in range(6)]
    for seed in reversed(range(6)):
        np.testing.assert_array_equal(recolour(noise(), settings, seed), changed[seed])
    assert any(not np.array_equal(one, image) for one in changed)
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)
    np.testing.assert_array_equal(image, noise())


def test_the_colours_are_the_same_in_another_process() -> None:
    settings = AugmentationSettings.model_validate(RECEIPTS)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_colours import RECEIPTS, AugmentationSettings, digest\n"
        "print(digest(AugmentationSettings.model_validate(RECEIPTS)))"
    )
    folder = str(Path(__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == digest(settings)


def test_a_transform_comes_as_often_as_asked_for() -> None:
    settings = pixels({"name": "InvertImg", "p": 0.25})
    dot = np.zeros((8, 8, 3), dtype=np.uint8)
    assert 65 < sum(recolour(dot, settings, seed).any() for seed in range(400)) < 135


def test_transforms_come_independently_of_each_other() -> None:
    darker = {"name": "RandomBrightnessContrast", "brightness_limit": [-0.5, -0.4]}
    settings = pixels({**darker, "contrast_limit": 0, "p": 0.5}, {"name": "InvertImg", "p": 0.5})
    white = np.full((32, 32, 3), 255, dtype=np.uint8)
    seen = {int(recolour(white, settings, seed)[0, 0, 0]) // 64 for seed in range(40)}
    # Neither, dark alone, inverted alone, both.
    assert seen >= {255 // 64, 0} and len(seen) == 4


@pytest.mark.parametrize("change", ["brightness", "contrast", "blur"])
def test_each_simple_change_can_be_asked_for_alone(change: str) -> None:
    image = noise()
    only = AugmentationSettings(**{change: 0.9})
    assert any(not np.array_equal(recolour(image, only, seed), image) for seed in range(8))
    assert recolour(image, AugmentationSettings(), 0) is image


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"name": "ImageCompresion"}, r"ImageCompresion: .*similar.*ImageCompression"),
        ({"name": "Zebra"}, r"no transform of colours by this name; .*MotionBlur"),
        ({"name": "Rotate"}, r"Rotate: .*words would not follow.*rotation"),
        ({"name": "ImageCompression", "quality": 5}, r"no argument 'quality'.*quality_range"),
        ({"name": "ToSepia", "strength": 5}, r"ToSepia: no argument 'strength'"),
        ({"name": "ImageCompression", "quality_range": [60, 195]}, r"quality_range: .*195"),
        ({"name": "ImageCompression", "quality_range": "high"}, r"quality_range: .*got 'high'"),
        ({"name": "TextImage"}, r"font_path: Field required"),
        ({"name": "Normalize"}, r"Normalize: makes float32 pixels"),
        ({"name": "ToGray", "num_output_channels": 1}, r"ToGray: makes uint8 pixels of shape"),
        ({"name": "FDA"}, r"FDA: does not work on a page alone .*metadata"),
    ],
)
def test_a_transform_that_cannot_be_used_is_named(transform: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"augmentation\.pixels\[1\] .*{message}"):
        check_pixels(pixels({"name": "InvertImg"}, transform))


@pytest.mark.parametrize(
    ("transform", "key"),
    [({"p": 0.5}, "name"), ({"name": "Blur", "p": 2}, "p"), ({"name": "Blur", "x": {1, 2}}, "x")],
)
def test_what_is_no_transform_fails_with_the_settings(transform: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=rf"pixels\.0\.{key}"):
        pixels(transform)


def test_settings_with_transforms_survive_being_stored() -> None:
    settings = AugmentationSettings.model_validate(RECEIPTS)
    check_pixels(settings)
    stored = AugmentationSettings.model_validate_json(settings.model_dump_json())
    assert stored == settings and hash(stored) == hash(settings)
    other = settings.model_dump()
    other["pixels"][-1]["quality_range"] = [10, 20]
    changed = AugmentationSettings.model_validate(other)
    assert changed != settings
    assert digest(changed, 20) != digest(settings, 20)
