"""Checks of a data set's tables for faults that keep a detector from learning.

Rejected records, frames and labels are judged here; :mod:`receipt_ocr.checks.word_sizes` judges
the words at the size that the network sees.
"""

import numpy as np
import pandas as pd

from receipt_ocr.checks.findings import Finding, Level
from receipt_ocr.checks.word_sizes import inspect_words, measure_words
from receipt_ocr.geometry.polygons import bounding_box
from receipt_ocr.receipts.settings import FrameSettings, TargetSettings

MEASURED_PAGES = 500  # about; more would only take longer
MANY_REJECTED = 0.05  # of a subset's pages or words
MANY_BLANK = 0.05
OBLONG = 1.1  # longer over shorter side: pages whose transposed frame differs
SMALL_EXTENT = 0.5  # of the page's width and height

_CHECK_JSON = "look at the JSON entries named in the rejected table"
_ADVICE = {
    "image_missing": "copy the missing images, or take the pages out of the JSON",
    "image_unreadable": "copy the image files again; open one in a viewer to see what it is",
    "unsafe_name": "page names must be plain file names, without folders",
    "duplicate_name": "give every page a name of its own, over all subsets",
    "not_annotated": "add the images to the JSON (with empty words if they are blank), or remove"
    " them",
    "unrotated_frame": "the polygons were drawn before EXIF turned the page: set"
    " ingestion.unrotated_polygons to 'rotate'",
    "no_points": f"every word needs 'points'; {_CHECK_JSON}",
    "not_numbers": f"points must be [[x, y], ...]; {_CHECK_JSON}",
    "not_finite": f"points must not be NaN or infinite; {_CHECK_JSON}",
    "too_few_points": "a polygon needs 4 points: write rectangles as their four corners, not as"
    " two",
    "zero_area": "a polygon needs an area; repeated or collinear points have none",
    "outside_page": "the points were drawn on another frame: another resolution, a cropped or"
    " turned copy, or x and y swapped; ingestion.clip_margin allows for a few pixels",
}


def inspect_pages(
    pages: pd.DataFrame,
    words: pd.DataFrame,
    rejected: pd.DataFrame,
    frame: FrameSettings,
    targets: TargetSettings,
) -> list[Finding]:
    """Check the tables that ingestion has made; only words of train pages are measured.

    Returns:
        Findings in reading order: counts, rejects, frames, labels, sizes. One of level
        ``problem`` can explain an H-mean near 0.
    """
    train = pages[pages["subset"] == "train"]
    sample = train.iloc[:: max(1, len(train) // MEASURED_PAGES)]
    boxes = _word_boxes(words)
    return [
        *_inspect_subsets(pages),
        *_inspect_rejected(pages, words, rejected),
        _inspect_orientation(pages, rejected),
        _inspect_word_counts(train),
        *_inspect_coordinates(pages, boxes),
        *_inspect_axes(pages, boxes, rejected),
        *inspect_words(measure_words(sample, words, frame.final_size), frame, targets),
    ]


def choose_pages(pages: pd.DataFrame, words: pd.DataFrame, count: int) -> list[str]:
    """Choose at most ``count`` train pages from few words to many, evenly spaced.

    Pages without a word to learn are left out. One page is the median page.
    """
    train = pages.loc[pages["subset"] == "train", "page"]
    counts = words.loc[words["page"].isin(train) & ~words["ignored"], "page"].value_counts()
    names = sorted(counts.index, key=lambda page: (counts[page], page))
    count = min(count, len(names))
    # The middle of each of `count` equal parts.
    return [names[int((part + 0.5) * len(names) / count)] for part in range(count)]


def _inspect_subsets(pages: pd.DataFrame) -> list[Finding]:
    counts = pages["subset"].value_counts()
    found = ", ".join(f"{counts[name]} {name}" for name in pages["subset"].unique())
    findings = [Finding("ok", "pages", found)]
    if "holdout" not in counts:
        message = "there is no holdout (images/val, jsons/val.json)"
        advice = "nothing is wrong; the out-of-fold score is the only stand-in for the leaderboard"
        findings.append(Finding("ok", "holdout", message, advice))
    test = pages[pages["subset"] == "test"]
    if len(test) and not test["has_truth"].any():
        advice = "nothing is wrong; the test score stays unknown until the submission is judged"
        message = "the truth of the test pages is withheld"
        findings.append(Finding("ok", "test truth", message, advice))
    return findings


def _inspect_rejected(
    pages: pd.DataFrame, words: pd.DataFrame, rejected: pd.DataFrame
) -> list[Finding]:
    if rejected.empty:
        return [Finding("ok", "rejected records", "nothing was rejected")]
    findings = []
    for reason, rows in rejected.groupby("reason"):
        whole = rows["word"] == ""
        kept = (len(pages), len(words))
        lost = (int(whole.sum()), int((~whole).sum()))
        share = max(n / max(n + rest, 1) for n, rest in zip(lost, kept, strict=True))
        level: Level = "problem" if share > MANY_REJECTED else "warning"
        first = rows.iloc[0]
        message = (
            f"{reason}: {lost[0]} pages, {lost[1]} words; first: {first['subset']} "
            f"{' '.join(filter(None, [first['page'], first['word']]))}: {first['detail']}"
        )
        advice = _ADVICE.get(str(reason), _CHECK_JSON)
        findings.append(Finding(level, "rejected records", message, advice))
    return findings


def _inspect_orientation(pages: pd.DataFrame, rejected: pd.DataFrame) -> Finding:
    turned = pages[pages["orientation"] != 1]
    misfits = int((rejected["reason"] == "unrotated_frame").sum())
    if misfits:
        message = (
            f"the polygons of {misfits} pages fit only the pixels as stored, before EXIF turns "
            f"them; those of {len(turned)} turned pages fit"
        )
        return Finding("problem", "EXIF", message, _ADVICE["unrotated_frame"])
    if turned.empty:
        return Finding("ok", "EXIF", "no page is turned by EXIF")
    message = f"{len(turned)} of {len(pages)} pages were turned upright, and their polygons fit"
    ambiguous = turned[turned["orientation"] <= 4]
    if ambiguous.empty:
        return Finding("ok", "EXIF", message)
    message += f"; {len(ambiguous)} are mirrored or upside down, where any polygon seems to fit"
    advice = f"look at one with its polygons, for example {ambiguous['page'].iloc[0]}"
    return Finding("ok", "EXIF", message, advice)


def _inspect_word_counts(train: pd.DataFrame) -> Finding:
    counts, blank = train["word_count"], train[train["word_count"] == 0]
    message = (
        f"{counts.sum()} on {len(train)} train pages: median {counts.median():g} a page, at most "
        f"{counts.max()}"
    )
    if blank.empty:
        return Finding("ok", "words", message)
    message += f"; {len(blank)} pages have none, such as {blank['page'].iloc[0]}"
    if len(blank) == len(train):
        advice = "there is nothing to learn: check jsons/train.json and the rejected records"
        return Finding("problem", "words", message, advice)
    advice = "a page with text but no labels teaches that text is background: label or remove it"
    level: Level = "warning" if len(blank) > MANY_BLANK * len(train) else "ok"
    return Finding(level, "words", message, advice)


def _inspect_coordinates(pages: pd.DataFrame, boxes: pd.DataFrame) -> list[Finding]:
    """Check that points are pixels of the page, by how far they reach into it."""
    if boxes.empty:
        return []
    reach = _page_reach(pages, boxes)
    relative = reach.loc[reach[["right", "bottom"]].max(axis=1) <= 1.0, "page"]
    if len(relative):
        message = (
            f"all points of {len(relative)} of {len(reach)} pages with words lie between 0 and 1, "
            f"such as {relative.iloc[0]}: relative coordinates"
        )
        advice = "multiply x by the upright page's width and y by its height"
        return [Finding("problem", "coordinates", message, advice)]
    extents = np.maximum(reach["right"] / reach["width"], reach["bottom"] / reach["height"])
    if (extent := float(np.median(extents))) < SMALL_EXTENT:
        message = f"on half of the pages the words reach no farther than {extent:.0%} of the page"
        advice = "check that the polygons are pixels of these images, not of smaller copies"
        return [Finding("warning", "coordinates", message, advice)]
    return [Finding("ok", "coordinates", "points are pixels and spread over the pages")]


def _inspect_axes(
    pages: pd.DataFrame, boxes: pd.DataFrame, rejected: pd.DataFrame
) -> list[Finding]:
    """Check for swapped x and y, by words far outside the page and by the words' own shape."""
    if boxes.empty:
        return []
    outside = rejected.loc[rejected["reason"] == "outside_page", "page"].unique()
    sides = pages[["width", "height"]]
    is_oblong = sides.max(axis=1) >= OBLONG * sides.min(axis=1)
    reach = _page_reach(pages[pages["page"].isin(outside) & is_oblong], boxes)
    fits = (reach["right"] <= reach["height"]) & (reach["bottom"] <= reach["width"])
    if len(reach) and fits.mean() > 0.5:
        message = (
            f"{len(outside)} pages have words far outside, and on {fits.sum()} of them the others "
            f"fit the page with its sides exchanged, such as {reach.loc[fits, 'page'].iloc[0]}"
        )
        advice = "x and y look swapped: points are [x, y], x to the right"
        return [Finding("problem", "axes", message, advice)]
    is_tall = boxes["bottom"] - boxes["top"] > boxes["right"] - boxes["left"]
    message = f"{is_tall.mean():.0%} of the words are taller than wide"
    if is_tall.mean() > 0.5:
        advice = "check that pages stand upright and that points are [x, y], not [y, x]"
        return [Finding("warning", "axes", message, advice)]
    return [Finding("ok", "axes", message)]


def _page_reach(pages: pd.DataFrame, boxes: pd.DataFrame) -> pd.DataFrame:
    """Pages that have words, with the largest x and y of their words."""
    ends = boxes.groupby("page")[["right", "bottom"]].max()
    return pages.merge(ends, left_on="page", right_index=True)


def _word_boxes(words: pd.DataFrame) -> pd.DataFrame:
    """Page and bounding box of each word: left, top, right, bottom in upright page pixels."""
    boxes = [bounding_box(np.reshape(flat, (-1, 2))) for flat in words["polygon"]]
    table = pd.DataFrame(boxes, columns=["left", "top", "right", "bottom"])
    return table.assign(page=words["page"].to_numpy())
