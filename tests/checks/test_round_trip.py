"""Targets decoded as a perfect output: high where all fits, and the cause where it does not."""

from pathlib import Path

import numpy as np
import pytest

from receipt_ocr.checks.round_trip import (
    TripSettings,
    decode_targets,
    draw_round_trip,
    inspect_capacity,
    inspect_round_trips,
)
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import score_page
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.settings import FrameSettings, TargetSettings

FRAME = FrameSettings(sizes={0: 512})


def make_page(scale: float = 1.0, ignored: bool = False) -> LabelledPage:
    """Ten words of 120 x 30 pixels on a page of 512 x 400, times ``scale``."""
    polygons = []
    for row in range(5):
        for left in (20, 220):
            top = 30 + 70 * row
            right, bottom = left + 120, top + 30
            corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
            polygons.append(np.array(corners, dtype=np.float64) * scale)
    return LabelledPage("page.jpg", Path("page.jpg"), 400, 512, polygons, [ignored] * 10)


def judge(page: LabelledPage, **blocks: object):  # type: ignore[no-untyped-def]
    settings = TripSettings.model_validate({"frame": FRAME, **blocks})
    return inspect_round_trips([decode_targets(page, settings)])


def test_fitting_settings_give_every_word_back() -> None:
    trip = decode_targets(make_page(), TripSettings(frame=FRAME))
    assert len(trip.polygons) == 10
    assert trip.score.hmean == pytest.approx(1.0)
    # The frame pads to 512 on both sides of the 400 pixel wide page: decoded polygons are moved
    # back by those 56 pixels.
    assert min(polygon[:, 0].min() for polygon in trip.polygons) == pytest.approx(20, abs=4)
    assert inspect_round_trips([trip]).level == "ok"


@pytest.mark.parametrize(
    ("blocks", "cause"),
    [
        ({"postprocess": PostprocessSettings(min_size=60)}, "min_size"),
        ({"postprocess": PostprocessSettings(unclip_ratio=9)}, "unclip_ratio"),
        ({"postprocess": PostprocessSettings(max_candidates=3)}, "max_candidates"),
        ({"postprocess": PostprocessSettings(thresh=1.0)}, "thresh"),
        ({"targets": TargetSettings(min_height=40)}, "min_height"),
        ({"targets": TargetSettings(shrink_ratio=0.99)}, "shrink_ratio"),
        ({"frame": FrameSettings(sizes={0: 32})}, "recipe.frame.sizes"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(blocks: dict[str, object], cause: str) -> None:
    finding = judge(make_page(), **blocks)
    assert finding.level in {"warning", "problem"}
    assert cause in finding.advice


def test_labels_that_are_no_pixels_are_named() -> None:
    relative = make_page(scale=1 / 512)
    finding = judge(relative)
    assert finding.level == "problem"
    assert "labels" in finding.advice


def test_ignored_words_are_neither_drawn_nor_missed() -> None:
    page = make_page()
    page.ignored[0] = True
    trip = decode_targets(page, TripSettings(frame=FRAME))
    assert len(trip.polygons) == 9
    assert trip.score.hmean == pytest.approx(1.0)


def test_no_round_trip_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="pages with words"):
        inspect_round_trips([])


@pytest.mark.parametrize(
    ("counts", "limit", "level", "advice"),
    [
        ([], 600, "ok", ""),
        ([10, 500], 600, "ok", ""),
        ([10, 501], 600, "warning", "order"),
        ([10, 301, 302], 300, "warning", "raise postprocess.max_candidates"),
    ],
)
def test_pages_fuller_than_the_limits_are_counted(
    counts: list[int], limit: int, level: str, advice: str
) -> None:
    finding = inspect_capacity(counts, PostprocessSettings(max_candidates=limit))
    assert finding.level == level
    assert advice in finding.advice
    if limit == 300:
        assert "2 pages have more than 300 words" in finding.message


def test_the_picture_shows_targets_beside_decoded_words() -> None:
    page = make_page()
    trip = decode_targets(page, TripSettings(frame=FRAME))
    image = np.full((512, 400, 3), 255, np.uint8)
    picture = draw_round_trip(trip, image, height=300)
    # Two pictures, three gaps of 8, captions of 22.
    assert picture.shape[0] == 300 + 22 + 16
    assert picture.shape[1] % 2 == 0
    assert (picture != 255).any()


def test_real_labels_come_back_at_full_size(shared: Path) -> None:
    import json

    from receipt_ocr.receipts.images import verify_image

    folder = shared / "data/sroie"
    images = json.loads((folder / "jsons/test.json").read_text())["images"]
    name, entry = sorted(images.items())[0]
    path = folder / "images/test" / name
    info = verify_image(path)
    polygons = [np.array(word["points"], dtype=np.float64) for word in entry["words"].values()]
    page = LabelledPage(name, path, info.width, info.height, polygons, [False] * len(polygons))
    trip = decode_targets(page, TripSettings())
    assert trip.score == score_page(polygons, trip.polygons)
    assert trip.score.hmean > 0.98
