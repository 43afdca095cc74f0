"""Polygons, pages and probability maps for the property tests.

Everything is in whole or fractional pixels of one frame, x then y.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import Polygon

CELL = 110
"""Words stay inside squares of this side, so that words of different cells never touch."""
COLUMNS = 5
ORIGIN = 600
"""Pages start here. A character's place is a sum like 600 + 7 / 3 * 3; from 64 upwards such a sum
of floats is the whole number that it is on paper, near 0 it may be a digit short of it."""
LONGEST = 100


@dataclass(frozen=True)
class Page:
    """What a page is scored from."""

    truth: list[Polygon]
    detections: list[Polygon]
    ignored: list[bool]
    transcriptions: list[str | None]

    @property
    def options(self) -> dict[str, Any]:
        """What belongs to the truth besides its polygons."""
        return {"ignored": self.ignored, "transcriptions": self.transcriptions}

    def moved(self, right: int, down: int) -> "Page":
        move = np.array([right, down], dtype=float)
        return replace(
            self,
            truth=[word + move for word in self.truth],
            detections=[word + move for word in self.detections],
        )

    def permuted(self, truth_order: Sequence[int], detection_order: Sequence[int]) -> "Page":
        return Page(
            [self.truth[i] for i in truth_order],
            [self.detections[i] for i in detection_order],
            [self.ignored[i] for i in truth_order],
            [self.transcriptions[i] for i in truth_order],
        )


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def around(*words: Polygon, margin: int = 0) -> Polygon:
    """The upright box around words."""
    points = np.concatenate(words)
    return box(*(points.min(axis=0) - margin), *(points.max(axis=0) + margin))


def cut_in_two(word: Polygon) -> list[Polygon]:
    """A word's upright box cut across its long side, so that the first part is of a whole ratio."""
    (left, top), (right, bottom) = word.min(axis=0), word.max(axis=0)
    width, height = right - left, bottom - top
    if width == height:
        return [word]
    if width > height:
        cut = left + height * max(width // height // 2, 1)
        return [box(left, top, cut, bottom), box(cut, top, right, bottom)]
    cut = top + width * max(height // width // 2, 1)
    return [box(left, top, right, cut), box(left, cut, right, bottom)]


def cell_corner(cell: int, columns: int = COLUMNS) -> NDArray[np.float64]:
    return np.array([ORIGIN + CELL * (cell % columns), ORIGIN + CELL * (cell // columns)], float)


def band(
    length: float, height: float, degrees: float, sides: tuple[int, int], bend: float = 0.0
) -> Polygon:
    """A bent strip about (0, 0): its upper side, then its lower one reversed.

    Args:
        length: Along the strip.
        height: Across it.
        degrees: How far it is turned.
        sides: Points of the upper and of the lower side.
        bend: How far the middle is off the line between the ends.
    """
    runs = [np.linspace(0, 1, points) for points in sides]
    upper, lower = (
        np.stack([(run - 0.5) * length, sign * height / 2 + 4 * bend * run * (1 - run)], axis=1)
        for run, sign in zip(runs, (-1, 1), strict=True)
    )
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    strip = np.concatenate([upper, lower[::-1]]) @ np.array([[cosine, sine], [-sine, cosine]])
    polygon: Polygon = np.round(strip)
    return polygon


@st.composite
def _upright(draw: st.DrawFn, is_whole_ratio: bool) -> Polygon:
    if is_whole_ratio:
        short, ratio = draw(st.integers(1, LONGEST // 5)), draw(st.integers(1, 5))
        sides = draw(st.permutations([short * ratio, short]))
    else:
        sides = [draw(st.integers(1, LONGEST)), draw(st.integers(1, LONGEST))]
    left, top = (draw(st.integers(0, CELL - LONGEST - 1)) for _ in range(2))
    return box(left, top, left + sides[0], top + sides[1])


@st.composite
def _slanted(draw: st.DrawFn) -> Polygon:
    height = draw(st.integers(10, 40))
    length, degrees = draw(st.integers(height + 4, 90)), draw(st.integers(0, 359))
    shake = draw(st.lists(st.integers(-1, 1), min_size=8, max_size=8))
    return band(length, height, degrees, (2, 2)) + np.reshape(shake, (4, 2)) + CELL // 2


@st.composite
def _outlined(draw: st.DrawFn) -> Polygon:
    height, points = draw(st.integers(12, 30)), draw(st.integers(8, 24))
    length, degrees = draw(st.integers(40, 90)), draw(st.integers(0, 359))
    bend = height * draw(st.integers(-4, 4)) / 16
    return band(length, height, degrees, (points // 2, points - points // 2), bend) + CELL // 2


@st.composite
def _apart(draw: st.DrawFn, word: st.SearchStrategy[Polygon], max_size: int) -> list[Polygon]:
    cells = draw(st.lists(st.integers(0, 19), min_size=1, max_size=max_size, unique=True))
    return [draw(word) + cell_corner(cell) for cell in cells]


def upright_words(
    *, max_size: int = 8, is_whole_ratio: bool = False
) -> st.SearchStrategy[list[Polygon]]:
    """Upright rectangles apart; of a whole ratio, the long side is a multiple of the short one."""
    return _apart(_upright(is_whole_ratio), max_size)


def slanted_words(*, max_size: int = 8) -> st.SearchStrategy[list[Polygon]]:
    """Convex quads apart, at any angle, 10 pixels high or more and not longer down than along."""
    return _apart(_slanted(), max_size)


def outlined_words(*, max_size: int = 6) -> st.SearchStrategy[list[Polygon]]:
    """Outlines of 8 to 24 points apart, bent by at most a quarter of their height."""
    return _apart(_outlined(), max_size)


any_words = upright_words() | slanted_words() | outlined_words()
texts = st.none() | st.text(alphabet="abc", max_size=30)


@st.composite
def near_misses(draw: st.DrawFn, words: list[Polygon], *, max_size: int = 8) -> list[Polygon]:
    """Detections: words as they are, moved, cut, joined, in a loose box, or twice."""
    found: list[Polygon] = []
    for word in draw(st.lists(st.sampled_from(words), max_size=max_size)):
        kind = draw(st.sampled_from(["same", "moved", "cut", "joined", "loose", "twice"]))
        found += {
            "same": [word],
            "moved": [word + draw(st.tuples(st.integers(-8, 8), st.integers(-8, 8)))],
            "cut": cut_in_two(word),
            "joined": [around(word, draw(st.sampled_from(words)))],
            "loose": [around(word, margin=draw(st.integers(1, 15)))],
            "twice": [word, word],
        }[kind]
    return found


@st.composite
def pages(
    draw: st.DrawFn,
    words: st.SearchStrategy[list[Polygon]] = any_words,
    *,
    transcriptions: st.SearchStrategy[str | None] = texts,
    is_all_care: bool = False,
    has_blocks: bool = True,
) -> Page:
    """Words of which some are don't care, don't-care blocks over words, and near misses.

    Some words are cut in two after they were detected: their detections join two words.
    """
    whole = draw(words)
    detections = draw(near_misses(whole))
    truth: list[Polygon] = []
    for word in whole:
        truth += cut_in_two(word) if draw(st.integers(0, 3)) == 0 else [word]
    ignored = [not is_all_care and draw(st.integers(0, 3)) == 0 for _ in truth]
    if has_blocks and not is_all_care and draw(st.booleans()):
        truth = [*truth, around(*draw(st.lists(st.sampled_from(truth), min_size=1, max_size=3)))]
        ignored.append(True)
    return Page(truth, detections, ignored, [draw(transcriptions) for _ in truth])


def crowded_page(seed: int, words: int, detections: int) -> Page:
    """A page of many words of all kinds, a cell each; from a seed, as drawing it takes too long."""
    random = np.random.default_rng(seed)
    truth = []
    for cell in random.permutation(500)[:words].tolist():
        points = int(random.choice((4, 4, 8, 13, 24)))
        length, height = random.uniform(30, 90), random.uniform(12, 30)
        degrees = random.uniform(0, 360) * random.integers(0, 2)
        bend = height / 8 if points > 4 else 0.0
        word = band(length, height, degrees, (points // 2, points - points // 2), bend)
        truth.append(word + cell_corner(cell, 25) + CELL // 2)
    found = []
    for index in random.integers(0, words, detections if words else 0).tolist():
        moved = truth[index] + random.integers(-20, 21, 2) * random.integers(0, 2)
        other = truth[int(random.integers(words))]
        found.append(around(moved, other) if random.random() < 0.02 else moved)
    ignored = (random.random(words) < 0.2).tolist()
    lengths = random.integers(-60, 30, words).tolist()
    return Page(truth, found, ignored, ["a" * n if n >= 0 else None for n in lengths])


_soup_number = {
    "pixel": st.integers(0, 1),
    "whole": st.integers(-5, 12),
    "frame": st.integers(-30, 120),
    "quarter": st.integers(-40, 160).map(lambda number: number / 4),
    "fraction": st.floats(-20, 90),
    "huge": st.integers(-100_000, 100_000),
    "huge fraction": st.floats(-1e5, 1e5),
}


@st.composite
def soup_polygons(
    draw: st.DrawFn, *, min_points: int = 0, max_points: int = 40, is_huge: bool = True
) -> Polygon:
    """Points as they come: crossing, doubled, on one line, on one pixel, outside the frame."""
    kind = draw(st.sampled_from([k for k in _soup_number if is_huge or "huge" not in k]))
    size = draw(st.integers(min_points, max_points))
    number = _soup_number[kind]
    flat = draw(st.lists(number, min_size=2 * size, max_size=2 * size))
    polygon = np.array(flat, dtype=float).reshape(-1, 2)
    if size and draw(st.integers(0, 5)) == 0:
        polygon[:, draw(st.integers(0, 1))] = polygon[0, 0]  # all on one line
    return polygon


def soup(
    *, min_points: int = 0, max_points: int = 40, max_size: int = 6
) -> st.SearchStrategy[list[Polygon]]:
    return st.lists(soup_polygons(min_points=min_points, max_points=max_points), max_size=max_size)


@st.composite
def blob_maps(draw: st.DrawFn, *, has_noise: bool = True) -> NDArray[np.uint8]:
    """8-bit maps: blobs in and across the frame, holes, specks, noise; also all of one value."""
    side = st.integers(40, 90) | st.integers(60, 90) | st.integers(1, 20)
    height, width = draw(side), draw(side)
    drawn: NDArray[Any] = np.full((height, width), draw(st.sampled_from([0, 0, 0, 60, 255])))
    drawn = drawn.astype(np.uint8)
    if has_noise and draw(st.integers(0, 2)) == 0:
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        drawn[:] = random.integers(0, draw(st.sampled_from([20, 90, 256])), drawn.shape)
    for _ in range(draw(st.integers(0, 12) | st.integers(2, 5))):
        level = draw(st.sampled_from([255, 255, 200, 128, 90, 40, 0]))
        x, y = draw(st.integers(-10, width + 5)), draw(st.integers(-10, height + 5))
        across, down = draw(st.integers(4, 30)), draw(st.integers(4, 14))
        fade = draw(st.sampled_from([0, 8]))  # words of a row tie, or each has its own score
        kind = draw(st.sampled_from(["row", "row", "speck", "rectangle", "ellipse", "ring"]))
        if kind == "speck":
            row, column = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            drawn[row, column] = level
            if down % 2:  # four pixels whose outline is a triangle but for rounding
                drawn[row, column : column + 3] = level
                drawn[row + 1 : row + 2, column + 2 : column + 3] = level
        elif kind == "ellipse":
            turn = draw(st.integers(0, 179))
            cv2.ellipse(drawn, (x, y), (across, down), turn, 0, 360, level, -1)
        else:
            thickness = 4 if kind == "ring" else -1
            for left in range(x, width if kind == "row" else x + 1, across + 6):
                cv2.rectangle(drawn, (left, y), (left + across, y + down), level, thickness)
                level -= level // fade if fade else 0
    if draw(st.booleans()):
        drawn = cv2.GaussianBlur(drawn, (5, 5), 0).reshape(height, width).astype(np.uint8)
    return drawn


@st.composite
def probability_maps(draw: st.DrawFn) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Blobs in 8 bits, in the same steps as float32, or in float32 between the steps."""
    eight_bit = draw(blob_maps())
    kind = draw(st.sampled_from(["uint8", "float32", "between"]))
    if kind == "uint8":
        return eight_bit
    values = eight_bit.astype(np.float32) / np.float32(255)
    return values if kind == "float32" else np.sqrt(values)
