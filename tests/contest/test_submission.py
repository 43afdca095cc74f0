"""Submissions: every test page once, whole pixels inside it, and each thing refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from receipt_ocr.contest.submission import (
    build_submission,
    check_submission,
    identify_submission,
    parse_submission,
    read_submission,
    tabulate_submission,
)

SIZES = {"a.jpg": (200, 100), "b.jpg": (60, 80)}
BAR = np.array([[10.4, 10.0], [110.0, 10.6], [110.0, 30.0], [10.0, 30.0]])


def submission(points: Any, page: str = "a.jpg") -> dict[str, Any]:
    images: dict[str, Any] = {name: {"words": {}} for name in SIZES}
    images[page] = {"words": {"0001": {"points": points}}}
    return {"images": images}


def test_a_page_without_words_keeps_its_entry_and_row() -> None:
    built = build_submission({"a.jpg": [BAR], "b.jpg": []}, SIZES)
    points = [[10, 10], [110, 11], [110, 30], [10, 30]]
    assert built == submission(points)
    table = tabulate_submission(built)
    assert table.columns.tolist() == ["filename", "polygons"]
    assert table.to_numpy().tolist() == [["a.jpg", "10 10 110 11 110 30 10 30"], ["b.jpg", ""]]
    check_submission(built, SIZES)


def test_polygons_of_a_page_are_numbered_and_joined() -> None:
    built = build_submission({"a.jpg": [BAR, BAR + 5], "b.jpg": []}, SIZES)
    assert list(built["images"]["a.jpg"]["words"]) == ["0001", "0002"]
    joined = "10 10 110 11 110 30 10 30|15 15 115 16 115 35 15 35"
    assert tabulate_submission(built)["polygons"].iloc[0] == joined


def test_points_outside_move_to_the_edge_of_their_page() -> None:
    wide = np.array([[-3, 5], [205, 5], [205, 108], [-3, 108]])
    built = build_submission({"a.jpg": [wide], "b.jpg": []}, SIZES)
    (word,) = built["images"]["a.jpg"]["words"].values()
    assert word["points"] == [[0, 5], [200, 5], [200, 100], [0, 100]]
    check_submission(built, SIZES)


def test_what_has_no_area_on_its_page_is_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beside = BAR + np.array([500, 0])
    triangle, flat = BAR[:3], BAR * (1, 0)
    built = build_submission({"a.jpg": [beside, triangle, flat, BAR], "b.jpg": []}, SIZES)
    assert list(built["images"]["a.jpg"]["words"]) == ["0001"]
    assert "3 polygons without 4 points or an area" in caplog.text


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ({"a.jpg": []}, "test pages, but 'b.jpg' is only in one .* ensemble"),
        ({"a.jpg": [], "b.jpg": [], "c.jpg": []}, "'c.jpg' is only in one .* ensemble"),
        ({"a.jpg": [], "b.jpg": [BAR * np.nan]}, "page 'b.jpg': a detection is not finite"),
        ({"a.jpg": [], "b.jpg": [BAR + np.inf]}, "page 'b.jpg': a detection is not finite"),
    ],
)
def test_detections_that_make_no_submission_are_refused(
    detections: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_submission(detections, SIZES)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0], [9, 0], [9, 9]], "page 'b.jpg', word 0001: .*4 points or more, got 3"),
        ([], "page 'b.jpg', word 0001: "),
        ([[0, 0], [9, 0], [9, 9], [0, "x"]], "page 'b.jpg', word 0001: points must be numbers"),
        ([[0, 0], [9, 0], [9, 9], [0, float("nan")]], "page 'b.jpg', word 0001: .*finite"),
        ([[0, 0], [61, 0], [61, 9], [0, 9]], "word 0001 leaves the page of 60x80 pixels"),
        ([[0, 0], [9, 0], [9, 81], [0, 81]], "word 0001 leaves the page of 60x80 pixels"),
        ([[-1, 0], [9, 0], [9, 9], [-1, 9]], "word 0001 leaves the page of 60x80 pixels"),
    ],
)
def test_a_word_that_the_contest_cannot_take_is_refused(points: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_submission(submission(points, "b.jpg"), SIZES)


def test_a_word_may_touch_the_edges_of_its_page() -> None:
    check_submission(submission([[0, 0], [60, 0], [60, 80], [0, 80]], "b.jpg"), SIZES)


def test_the_pages_must_be_the_test_pages() -> None:
    with pytest.raises(ValueError, match=r"lacks 1 test pages, first 'b.jpg'"):
        check_submission({"images": {"a.jpg": {"words": {}}}}, SIZES)
    foreign = {"images": {name: {"words": {}} for name in (*SIZES, "c.jpg")}}
    with pytest.raises(ValueError, match=r"names 'c.jpg', which is no test page"):
        check_submission(foreign, SIZES)


TABLE = tabulate_submission(
    build_submission({"a.jpg": [BAR, BAR + 5], "b.jpg": [BAR[[0, 1, 2, 2, 3]] / 2]}, SIZES)
)


def test_a_submission_is_known_by_its_content_whatever_its_file(tmp_path: Path) -> None:
    name = identify_submission(TABLE)
    assert len(name) == 13 and name[0] == "s"
    assert set(name[1:]) <= set("0123456789abcdef")
    for file, ends in (("submission.csv", "\n"), ("my best (1).csv", "\r\n")):
        TABLE.to_csv(tmp_path / file, index=False, lineterminator=ends)
        assert (tmp_path / file).read_bytes().count(b"\r\n") == (3 if ends == "\r\n" else 0)
        assert identify_submission(read_submission(tmp_path / file)) == name


def test_a_page_without_words_is_read_back_as_such(tmp_path: Path) -> None:
    table = tabulate_submission(build_submission({"a.jpg": [BAR], "b.jpg": []}, SIZES))
    table.to_csv(tmp_path / "a.csv", index=False)
    read = read_submission(tmp_path / "a.csv")
    assert identify_submission(read) == identify_submission(table)
    assert parse_submission(read)["b.jpg"] == []


def test_any_other_content_is_another_submission() -> None:
    first, second = TABLE.loc[0, "polygons"].split("|")
    others = [
        TABLE.iloc[::-1],
        TABLE.iloc[:1],
        TABLE.assign(filename=["a.jpg", "c.jpg"]),
        TABLE.assign(polygons=TABLE["polygons"].iloc[::-1].to_list()),
        TABLE.assign(polygons=[f"{second}|{first}", TABLE.loc[1, "polygons"]]),
        TABLE.assign(polygons=[first, TABLE.loc[1, "polygons"]]),
        TABLE.assign(polygons=TABLE["polygons"].str.replace("110", "111")),
    ]
    names = {identify_submission(table) for table in (TABLE, *others)}
    assert len(names) == len(others) + 1


def test_a_submission_is_parsed_into_the_polygons_that_it_was_made_of() -> None:
    parsed = parse_submission(TABLE)
    assert list(parsed) == ["a.jpg", "b.jpg"]
    assert [polygon.tolist() for polygon in parsed["a.jpg"]] == [
        [[10, 10], [110, 11], [110, 30], [10, 30]],
        [[15, 15], [115, 16], [115, 35], [15, 35]],
    ]
    assert [len(polygon) for polygon in parsed["b.jpg"]] == [5]
    again = tabulate_submission(build_submission(parsed, SIZES))
    pd.testing.assert_frame_equal(again, TABLE)


def test_a_page_that_stands_twice_is_named() -> None:
    twice = pd.concat([TABLE, TABLE.iloc[1:]], ignore_index=True)
    with pytest.raises(ValueError, match=r"the submission holds page 'b\.jpg' twice"):
        parse_submission(twice)


@pytest.mark.parametrize(
    ("polygons", "message"),
    [
        ("1 2 3 4 5 6 7 eight", "could not convert string to float: 'eight'"),
        ("1 2 3 4 5 6 7 8|1 2 3 4 5 6 7", "got shape"),
        ("1 2 3 4 5 6", "needs 4 points or more, got 3"),
        ("1 2 3 4 5 6 7 nan", "must be finite"),
        (" ", "needs 4 points or more, got 0"),
    ],
)
def test_a_polygon_that_cannot_be_read_is_named_by_page(polygons: str, message: str) -> None:
    broken = TABLE.assign(polygons=[TABLE.loc[0, "polygons"], polygons])
    with pytest.raises(ValueError, match=rf"page 'b\.jpg' of the submission: .*{message}"):
        parse_submission(broken)
