"""Every fault of a data set becomes a finding of its own; a sound data set has none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.checks.dataset import choose_pages, inspect_pages
from receipt_ocr.checks.findings import Finding
from receipt_ocr.receipts.settings import FrameSettings, TargetSettings

FRAME = FrameSettings(sizes={0: 640})
REJECTED = ["subset", "page", "word", "reason", "detail"]
Box = tuple[float, float, float, float]

# On a page of 400 x 640 pixels, whose frame of 640 keeps its pixels.
BOXES: list[Box] = [(20, 20, 120, 50), (20, 300, 120, 330), (20, 580, 120, 610)]


def make_pages(count: int = 3, **columns: Any) -> pd.DataFrame:
    names = [f"page_{index}.jpg" for index in range(count)]
    table = {
        "page": names,
        "subset": ["train"] * (count - 2) + ["holdout", "test"],
        "path": names,
        "width": 400,
        "height": 640,
        "orientation": 1,
        "word_count": 3,
        "has_truth": True,
    }
    return pd.DataFrame({**table, **columns})


def make_words(
    pages: pd.DataFrame, boxes: list[Box] | None = None, ignored: bool = False
) -> pd.DataFrame:
    rows = [
        {
            "page": row.page,
            "subset": row.subset,
            "word": str(index),
            "polygon": [left, top, right, top, right, bottom, left, bottom],
            "transcription": None,
            "ignored": ignored,
            "clipped_points": 0,
            "reordered": False,
        }
        for row in pages.itertuples()
        for index, (left, top, right, bottom) in enumerate(BOXES if boxes is None else boxes)
    ]
    columns = ["page", "subset", "word", "polygon", "transcription", "ignored"]
    return pd.DataFrame(rows, columns=[*columns, "clipped_points", "reordered"])


def make_rejected(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of page, word and reason."""
    table = [("train", page, word, reason, "as seen") for page, word, reason in rows]
    return pd.DataFrame(table, columns=REJECTED)


def inspect(
    pages: pd.DataFrame | None = None,
    words: pd.DataFrame | None = None,
    rejected: pd.DataFrame | None = None,
    frame: FrameSettings = FRAME,
) -> dict[str, Finding]:
    pages = make_pages() if pages is None else pages
    words = make_words(pages) if words is None else words
    rejected = make_rejected() if rejected is None else rejected
    findings = inspect_pages(pages, words, rejected, frame, TargetSettings())
    assert all(finding.advice for finding in findings if finding.level != "ok")
    return {finding.subject: finding for finding in findings}


def test_a_sound_data_set_has_no_fault() -> None:
    findings = inspect()
    assert {finding.level for finding in findings.values()} == {"ok"}
    assert findings["pages"].message == "1 train, 1 holdout, 1 test"
    assert "3 on 1 train pages: median 3 a page, at most 3" in findings["words"].message
    assert "text is 30.0 px high in the median" in findings["text height"].message


def test_no_holdout_and_withheld_truth_are_said_but_are_no_fault() -> None:
    pages = make_pages(subset=["train", "train", "test"], has_truth=[True, True, False])
    findings = inspect(pages)
    assert "no holdout" in findings["holdout"].message
    assert "withheld" in findings["test truth"].message
    assert {finding.level for finding in findings.values()} == {"ok"}


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("image_missing", "copy the missing images"),
        ("too_few_points", "four corners"),
        ("outside_page", "another frame"),
        ("a_new_reason", "rejected table"),
    ],
)
def test_rejects_are_judged_by_their_reason_and_share(reason: str, advice: str) -> None:
    # 9 words are kept: 1 of 10 rejected is more than a twentieth.
    findings = inspect(rejected=make_rejected(("page_0.jpg", "7", reason)))
    rejects = findings["rejected records"]
    assert rejects.level == "problem"
    assert f"{reason}: 0 pages, 1 words; first: train page_0.jpg 7: as seen" in rejects.message
    assert advice in rejects.advice
    few = inspect(make_pages(20), rejected=make_rejected(("a", "7", reason)))
    assert few["rejected records"].level == "warning"


def test_turned_pages_are_fine_if_their_polygons_fit() -> None:
    unrotated = inspect(rejected=make_rejected(("page_9.jpg", "", "unrotated_frame")))["EXIF"]
    assert unrotated.level == "problem"
    assert "unrotated_polygons to 'rotate'" in unrotated.advice
    fine = inspect(make_pages(orientation=[6, 1, 1]))["EXIF"]
    assert (fine.level, fine.advice) == ("ok", "")
    assert "1 of 3 pages" in fine.message
    # Upside down keeps width and height: only eyes can tell.
    upside_down = inspect(make_pages(orientation=[3, 1, 1]))["EXIF"]
    assert upside_down.level == "ok"
    assert "page_0.jpg" in upside_down.advice


def test_pages_without_words_are_counted() -> None:
    pages = make_pages(4, word_count=[3, 0, 3, 3])
    words = make_words(pages[pages["word_count"] > 0])
    some = inspect(pages, words)["words"]
    assert some.level == "warning"
    assert "1 pages have none, such as page_1.jpg" in some.message
    none = inspect(make_pages(word_count=0), make_words(make_pages(), []))["words"]
    assert none.level == "problem"
    assert "nothing to learn" in none.advice


RELATIVE: list[Box] = [(0.1, 0.1, 0.4, 0.2), (0.1, 0.8, 0.4, 0.9)]
IN_A_CORNER: list[Box] = [(20, 20, 120, 50), (20, 150, 120, 180)]  # the upper left 30 %
UPRIGHT: list[Box] = [(20, 20, 50, 120), (20, 480, 50, 580)]


@pytest.mark.parametrize(
    ("boxes", "subject", "level", "advice"),
    [
        (RELATIVE, "coordinates", "problem", "multiply x"),
        (RELATIVE, "text height", "problem", "pixels of these images"),
        (RELATIVE, "kernels", "problem", "raise recipe.frame.sizes"),
        (IN_A_CORNER, "coordinates", "warning", "smaller copies"),
        (UPRIGHT, "axes", "warning", "pages stand upright"),
    ],
)
def test_words_in_another_frame_are_suspected(
    boxes: list[Box], subject: str, level: str, advice: str
) -> None:
    finding = inspect(words=make_words(make_pages(), boxes))[subject]
    assert finding.level == level
    assert advice in finding.advice


def test_swapped_axes_are_suspected_from_what_lies_outside() -> None:
    # [y, x] on a page of 400 x 640: what was at y = 580 now has x = 580, far outside.
    swapped = [(top, left, bottom, right) for left, top, right, bottom in BOXES[:2]]
    rejected = make_rejected(("page_0.jpg", "2", "outside_page"))
    axes = inspect(words=make_words(make_pages(), swapped), rejected=rejected)["axes"]
    assert axes.level == "problem"
    assert "x and y look swapped" in axes.advice
    # A word outside a page whose others use its whole height proves nothing.
    assert inspect(rejected=rejected)["axes"].level == "ok"


def test_small_text_names_the_size_that_would_do() -> None:
    # 30 px at 640 are 4.5 px at 96, and 6 px at 128: 8 px need 96 * 8 / 4.5 = 171 -> 192.
    small = inspect(frame=FrameSettings(sizes={0: 64, 2: 96}))["text height"]
    assert small.level == "warning"
    assert "4.5 px high in the median" in small.message
    assert "at the first epochs' 64 px 3.0 px" in small.message
    assert "a frame size of 192" in small.advice
    assert inspect(frame=FrameSettings(sizes={0: 128}))["text height"].level == "ok"
    assert inspect(frame=FrameSettings(sizes={0: 64}))["text height"].level == "problem"
    # At 32 px the words are 5 x 1.5 px.
    kernels = inspect(frame=FrameSettings(sizes={0: 32}))["kernels"]
    assert kernels.level == "problem"
    assert "100.0% of the words are under targets.min_height" in kernels.message


def test_overlapping_and_repeated_words_are_counted() -> None:
    overlap = inspect(words=make_words(make_pages(), [*BOXES, BOXES[0]]))["overlap"]
    assert overlap.level == "warning"
    # 2 of the 4 words of the train page.
    assert "50.0% of the words" in overlap.message
    assert "1 pairs are nearly the same polygon" in overlap.message
    touching = [(20.0, 20.0, 120.0, 50.0), (20.0, 45.0, 120.0, 600.0)]
    assert inspect(words=make_words(make_pages(), touching))["overlap"].level == "ok"


@pytest.mark.parametrize(("shares", "level"), [([1], "problem"), ([0, 0, 1], "warning")])
def test_ignored_words_are_judged_by_their_share(shares: list[int], level: str) -> None:
    words = make_words(make_pages())
    words["ignored"] = np.resize(np.array(shares, dtype=bool), len(words))
    assert inspect(words=words)["ignored words"].level == level


def test_pages_are_chosen_from_few_words_to_many() -> None:
    pages = make_pages(8)
    # page_0 has 1 word ... page_5 has 6; page_6 and page_7 are holdout and test.
    words = pd.concat([make_words(pages[i : i + 1], BOXES[:1] * (i + 1)) for i in range(8)])
    assert choose_pages(pages, words, 1) == ["page_3.jpg"]
    assert choose_pages(pages, words, 3) == ["page_1.jpg", "page_3.jpg", "page_5.jpg"]
    assert choose_pages(pages, words, 100) == [f"page_{index}.jpg" for index in range(6)]
    assert choose_pages(pages, words.assign(ignored=True), 3) == []
