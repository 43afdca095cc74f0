"""Synthetic pages full of words, with flawed detections and a probability map.

Larger and denser than the recorded pages, and of any number of words and points, so that a
benchmark shows how the cost grows. Everything follows from the seed. Page coordinates are pixels
of the page, map coordinates pixels of the square letterbox, both x then y from the corner.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pyclipper
import shapely
from numpy.typing import NDArray

Polygon = NDArray[np.float64]

MAX_WORDS = 1000
SHARE = 0.03  # words with each kind of error
SHRINK_RATIO = 0.4
MARGIN = 0.04  # share of the page's side
LINE_HEIGHTS = (13.0, 46.0)  # page pixels from line to line, least and most
PITCH_ASPECT = 2.2  # length of a word with its gap, in line heights, where they fill the page
WORD_HEIGHT = 0.6  # share of the line height


@dataclass(frozen=True)
class DensePage:
    """One drawn page."""

    truth: tuple[Polygon, ...]
    """(P, 2) outlines of the words in reading order, whole page pixels, x then y."""
    detections: tuple[Polygon, ...]
    """(P, 2) outlines as a detector might find them, whole page pixels."""
    probability_map: NDArray[np.uint8]
    """(size, size) text probability times 255 in the letterbox frame."""
    map_to_page: NDArray[np.float64]
    """3x3 matrix from map pixels to page pixels."""
    page_size: tuple[int, int]
    """Width and height of the page in pixels."""


@dataclass(frozen=True)
class _Word:
    """A word before its outline is drawn; page pixels."""

    line: int
    left: float
    right: float
    middle: float  # y of the centre
    height: float
    slope: float  # pixels down for each pixel to the right
    bend: float  # how far the ends lie below the centre
    is_free: bool  # a place without a word, where a false positive stands


def draw_page(words: int, points: int, *, size: int = 960, seed: int = 0) -> DensePage:
    """Draw a page of text lines.

    The words fill the page like a dense document; where there are few of them they stand as far
    apart as on a receipt. About 3 % of them are missed, 3 % split in two and 3 % merged with
    their neighbour; as many detections again stand where no word is. The other detections are a
    pixel or two off.

    Words do not overlap. Outlines have 4 ``points`` as slanted quads, or an even number from 8 on
    as gently curved words with rounded ends: the first half is the upper side from left to right,
    the second one the lower side from right to left. ``size`` is the side of the map in pixels.

    Raises:
        ValueError: If a number is out of range or the words do not fit.
    """
    if not 1 <= words <= MAX_WORDS:
        raise ValueError(f"words must be from 1 to {MAX_WORDS}, got {words}")
    if points != 4 and (points < 8 or points % 2):
        raise ValueError(f"points must be 4 or an even number from 8 on, got {points}")
    if size < 1:
        raise ValueError(f"size must be positive, got {size}")
    rng = np.random.default_rng(seed)
    width, height = size * 5 // 4 + 10, size * 4 // 3 + 10
    places = _set_lines(words, width, height, rng)
    text = [place for place in places if not place.is_free]
    truth = tuple(_outline(word, points) for word in text)
    map_to_page = _letterbox(width, height, size)
    detections = _detect(places, points, rng)
    probability_map = _draw_map(truth, map_to_page, size, rng)
    return DensePage(truth, detections, probability_map, map_to_page, (width, height))


def _set_lines(words: int, width: int, height: int, rng: np.random.Generator) -> list[_Word]:
    """Places for the words and the false positives in reading order, line after line."""
    count = words + math.ceil(SHARE * words)
    left, top = width * MARGIN, height * MARGIN
    across, down = width - 2 * left, height - 2 * top
    least, most = LINE_HEIGHTS
    pitch = min(most, math.sqrt(across * down / count / PITCH_ASPECT))
    if pitch < least:
        raise ValueError(f"{words} words do not fit on a page of {width} x {height} pixels")
    lines = min(count, int(down / pitch))
    free = set(rng.choice(count, count - words, replace=False).tolist())
    page_slope = rng.uniform(-0.03, 0.03)
    places: list[_Word] = []
    for line, members in enumerate(np.array_split(np.arange(count), lines)):
        # The lines' own slants differ by less than the space between them.
        slope = page_slope + rng.uniform(-0.08, 0.08) * pitch / across
        lengths = rng.uniform(0.6, 1.4, len(members))
        ends = left + across * np.cumsum(lengths / lengths.sum())
        start = left
        for index, end in zip(members.tolist(), ends.tolist(), strict=True):
            middle = top + (line + 0.5) * pitch
            place = _set_word(start, end, pitch, rng)
            centre = (place.left + place.right) / 2
            middle += slope * (centre - width / 2)
            is_free = index in free
            places.append(replace(place, line=line, middle=middle, slope=slope, is_free=is_free))
            start = end
    return places


def _set_word(start: float, end: float, pitch: float, rng: np.random.Generator) -> _Word:
    """A word of some length between two positions of a line, two pixels clear of them."""
    height = WORD_HEIGHT * pitch * rng.uniform(0.85, 1.0)
    room = end - start - 4
    length = min(room * rng.uniform(0.75, 1.0), height * rng.uniform(2.5, 8.0))
    left = start + 2 + (room - length) * rng.uniform(0.0, 1.0)
    bend = pitch * rng.uniform(-0.1, 0.1)
    return _Word(0, left, left + length, 0.0, height, 0.0, bend, is_free=False)


def _outline(word: _Word, points: int) -> Polygon:
    """Outline a word in whole pixels, upper side first."""
    half_length, half_height = (word.right - word.left) / 2, word.height / 2
    if points == 4:
        x = np.array([-half_length, half_length])
        y, bend = np.full(2, half_height), np.zeros(2)
    else:
        x, y = _rounded_side(half_length, half_height, points // 2)
        # As far above the middle at the centre as below it at the ends.
        bend = word.bend * (2 * (x / half_length) ** 2 - 1) / 2
    base = word.middle + word.slope * x + bend
    centre = (word.left + word.right) / 2
    upper, lower = (np.stack([centre + x, side], axis=1) for side in (base - y, base + y))
    outline: Polygon = np.round(np.concatenate([upper, lower[::-1]])) + 0.0
    return outline


def _rounded_side(
    half_length: float, half_height: float, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places along a side with quarter circles at its ends, and its distance from the middle."""
    radius = 0.7 * min(half_length, half_height)
    corner = max(2, count // 4)
    angles = np.linspace(0, np.pi / 2, corner)
    arc_x, arc_y = radius * (1 - np.cos(angles)), radius * (np.sin(angles) - 1)
    straight = np.linspace(radius - half_length, half_length - radius, count - 2 * corner + 2)[1:-1]
    x = np.concatenate([arc_x - half_length, straight, half_length - arc_x[::-1]])
    y = half_height + np.concatenate([arc_y, np.zeros(len(straight)), arc_y[::-1]])
    return x, y


def _detect(places: list[_Word], points: int, rng: np.random.Generator) -> tuple[Polygon, ...]:
    """Imitate a detector that errs now and then, in reading order."""
    text = [index for index, place in enumerate(places) if not place.is_free]
    errors = round(SHARE * len(text))
    order = [text[k] for k in rng.permutation(len(text))]
    missed, split = set(order[:errors]), set(order[errors : 2 * errors])
    merged: set[int] = set()
    hidden = missed | split
    for index in order[2 * errors :]:
        if len(merged) == errors:
            break
        if index not in hidden and index + 1 not in hidden and _are_neighbours(places, index):
            merged.add(index)
            hidden |= {index, index + 1}
    found: list[_Word] = []
    for index, place in enumerate(places):
        if index in merged:
            found.append(_cover(place, place.left, places[index + 1].right))
        elif index in split:
            cut = place.left + (place.right - place.left) * rng.uniform(0.35, 0.65)
            found.append(_cover(place, place.left, cut - 1))
            found.append(_cover(place, cut + 1, place.right))
        elif index not in hidden:
            found.append(place)
    return tuple(_outline(_jitter(word, rng), points) for word in found)


def _are_neighbours(places: list[_Word], index: int) -> bool:
    """Whether the place and the next one hold words of one line."""
    if index + 1 == len(places):
        return False
    return not places[index + 1].is_free and places[index].line == places[index + 1].line


def _cover(word: _Word, left: float, right: float) -> _Word:
    """A straight word over another stretch of the same line."""
    moved = (left + right) / 2 - (word.left + word.right) / 2
    middle = word.middle + word.slope * moved
    return replace(word, left=left, right=right, middle=middle, bend=0.0)


def _jitter(word: _Word, rng: np.random.Generator) -> _Word:
    """Move every side of a word by a pixel or two."""
    left, right, turn = rng.uniform(-2.0, 2.0, 3)
    return replace(
        word,
        left=word.left + left,
        right=word.right + right,
        middle=word.middle + rng.uniform(-1.5, 1.5),
        height=word.height + rng.uniform(-1.0, 2.0),
        slope=word.slope + turn / (word.right - word.left),
    )


def _letterbox(width: int, height: int, size: int) -> NDArray[np.float64]:
    """Matrix from a square map, in which the page stands centred, to the page."""
    scale = size / max(width, height)
    inner_width, inner_height = int(width * scale), int(height * scale)
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    x_scale, y_scale = width / inner_width, height / inner_height
    return np.array([[x_scale, 0, -left * x_scale], [0, y_scale, -top * y_scale], [0, 0, 1]])


def _draw_map(
    truth: tuple[Polygon, ...], map_to_page: Polygon, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The shrunk kernels of the words as a network shows them: soft edges, some noise.

    A network computes its map at a quarter of the size and enlarges it: its noise is smooth, and
    a kernel's contour has some 17 points in the recorded maps, as it has here.
    """
    page_to_map = np.linalg.inv(map_to_page)
    kernels = np.zeros((size, size), dtype=np.uint8)
    text = np.zeros((size, size), dtype=np.uint8)
    for outline in truth:
        word = outline @ page_to_map[:2, :2].T + page_to_map[:2, 2]
        shape = shapely.Polygon(word)
        offset = pyclipper.PyclipperOffset()
        path = word.astype(np.int64).tolist()
        offset.AddPath(path, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        pieces = offset.Execute(-shape.area * (1 - SHRINK_RATIO**2) / shape.length)
        level = int(255 * rng.uniform(0.75, 0.98))
        for piece in pieces:
            cv2.fillPoly(kernels, [np.array(piece, dtype=np.int32)], [level])
        cv2.fillPoly(text, [word.astype(np.int32)], [1])
    blurred = cv2.GaussianBlur(kernels, (5, 5), 0.9).astype(np.float32)
    coarse = rng.uniform(-12, 12, (size // 4 + 1, size // 4 + 1)).astype(np.float32)
    noise = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR) * text
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)
