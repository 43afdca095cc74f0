"""Pictures of pages and samples show what is learnt where, and what does not count."""

from typing import Any

import numpy as np
import pytest

from receipt_ocr.pictures.targets import (
    BORDER,
    KERNEL,
    LEGEND_HEIGHT,
    OPACITY,
    draw_sample,
    draw_samples,
    draw_targets,
)

GREY = 200
WHITE = np.full((400, 300, 3), 255, dtype=np.uint8)


def make_sample(height: int = 64, width: int = 48, number: Any = np.uint8) -> dict[str, Any]:
    """A grey page with a word, a masked area below it and padding to the right."""
    maps = {
        "shrink_map": np.zeros((1, height, width), number),
        "shrink_mask": np.ones((1, height, width), number),
        "threshold_map": np.full((1, height, width), 0.3, np.float32),
        "threshold_mask": np.zeros((1, height, width), number),
    }
    maps["shrink_map"][0, 12:16, 10:30] = 1
    maps["threshold_map"][0, 8:20, 6:34] = 0.7
    maps["threshold_mask"][0, 8:20, 6:34] = 1
    maps["shrink_mask"][0, 40:50, 10:30] = 0
    maps["shrink_mask"][0, :, 40:] = 0
    return {"image": np.full((3, height, width), GREY, np.uint8), **maps}


def mixed(colour: tuple[int, int, int], under: Any = (GREY,) * 3) -> Any:
    return np.asarray(under) + OPACITY * (np.asarray(colour) - np.asarray(under, dtype=float))


@pytest.mark.parametrize("number", [np.uint8, np.float32])
def test_targets_lie_on_the_pixels_that_they_are_of(number: Any) -> None:
    sample = make_sample(number=number)
    picture = draw_sample(sample, height=64)
    assert picture.shape == (64, 48, 3)
    assert (picture[2:6, :38] == GREY).all()  # nothing is learnt here: the page as it is
    np.testing.assert_allclose(picture[10, 20], mixed(BORDER), atol=1)
    np.testing.assert_allclose(picture[14, 20], mixed(KERNEL, mixed(BORDER)), atol=1)


def test_what_does_not_count_is_striped() -> None:
    picture = draw_sample(make_sample(), height=64).astype(int)
    for area in (picture[40:50, 10:30], picture[:, 40:]):
        assert (area < GREY).all()
        darkness = np.unique(area[..., 0])
        assert len(darkness) == 2 and np.ptp(darkness) > 30
    assert (picture[40:50, 31:39] == GREY).all()


def test_samples_of_several_sizes_share_a_sheet_and_a_legend() -> None:
    samples = [make_sample(), make_sample(64, 96), make_sample(128, 96), make_sample()]
    sheet = draw_samples(samples, ["a", "b", "c", "d"], columns=3, height=128)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] > LEGEND_HEIGHT + 2 * 128
    assert sheet.shape[1] > 3 * 192
    for colour in (KERNEL, BORDER):
        legend = sheet[:LEGEND_HEIGHT].astype(int)
        assert (np.abs(legend - colour).max(axis=2) < 8).any()


def test_a_blank_page_is_drawn_as_it_is() -> None:
    sample = make_sample()
    sample["shrink_map"][:] = 0
    sample["threshold_map"][:] = 0.3
    sample["threshold_mask"][:] = 0
    sample["shrink_mask"][:] = 1
    assert (draw_sample(sample, height=64) == GREY).all()


def test_maps_of_another_size_are_named() -> None:
    sample = make_sample()
    sample["threshold_mask"] = sample["threshold_mask"][:, :32]
    with pytest.raises(ValueError, match=r"threshold_mask must be .* \(64, 48\), got \(32, 48\)"):
        draw_sample(sample)


def test_targets_are_tinted_by_their_strength() -> None:
    shrink = np.zeros((400, 300), np.float32)
    shrink[100:140, 50:250] = 1.0
    threshold = np.full((400, 300), 0.3, np.float32)
    threshold[200:240, 50:250] = 0.7
    picture = draw_targets(WHITE, shrink, threshold, height=418).astype(int)
    scale = picture.shape[1] / 300
    kernel, border = (
        picture[int(120 * scale), int(150 * scale)],
        picture[int(220 * scale), int(150 * scale)],
    )
    # 80 % of the way from white to the colour.
    assert np.abs(kernel - (0.2 * 255 + 0.8 * np.array(KERNEL))).max() <= 2
    assert np.abs(border - (0.2 * 255 + 0.8 * np.array(BORDER))).max() <= 2
    assert picture[2, 2].tolist() == [255, 255, 255]


def test_targets_of_another_size_than_the_page_are_refused() -> None:
    with pytest.raises(ValueError, match="image's size"):
        draw_targets(WHITE, np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32))
