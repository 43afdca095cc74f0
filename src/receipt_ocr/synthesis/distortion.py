"""Bend and tilt a flat receipt, with one exact map for pixels and polygons."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import (
    Matrix,
    Polygon,
    bounding_box,
    rectangle,
    transform_polygon,
)
from receipt_ocr.synthesis.settings import SynthesisSettings


@dataclass(frozen=True)
class Curl:
    """A smooth displacement of the paper with an exact inverse; lengths are in paper pixels.

    A point (x, y) first moves down by ``lift(x) * (1 + taper * y / height)``, which bends the
    lines of text, then right by ``sway * sin(...)`` of its new y, which bends the columns. Each
    step changes one coordinate by a function of the other (the first is also linear in y), so
    it can be undone in closed form.
    """

    width: float
    height: float
    bow: float = 0.0
    wave: float = 0.0
    sway: float = 0.0
    taper: float = 0.0
    phase: float = 0.0

    @property
    def is_flat(self) -> bool:
        """Whether straight lines stay straight."""
        return self.bow == self.wave == self.sway == 0.0

    def apply(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates on the flat paper -> on the curled one."""
        lift = self._lift(x)
        y = y + lift * (1 + self.taper * y / self.height)
        return x + self._sway(y), y

    def undo(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates on the curled paper -> on the flat one."""
        x = x - self._sway(y)
        lift = self._lift(x)
        return x, (y - lift) / (1 + self.taper * lift / self.height)

    def slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slope of the lines of text at x; the shading of the paper follows it."""
        turn = 2 * np.pi / self.width
        return 8 * self.bow * (x / self.width - 0.5) / self.width + self.wave * turn * np.cos(
            turn * x + self.phase
        )

    def _lift(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        bow = 4 * self.bow * (x / self.width - 0.5) ** 2
        return bow + self.wave * np.sin(2 * np.pi * x / self.width + self.phase)

    def _sway(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.sway * np.sin(np.pi * y / self.height + self.phase)


@dataclass(frozen=True)
class Warp:
    """The map from the flat paper to the page: first the curl, then a 3x3 perspective."""

    curl: Curl
    perspective: Matrix

    def move(self, polygon: Polygon) -> Polygon:
        """Move points of the flat paper, (P, 2) paper pixels, to page pixels."""
        curled = np.column_stack(self.curl.apply(polygon[:, 0], polygon[:, 1]))
        return transform_polygon(curled, self.perspective)

    def warp_image(
        self, image: NDArray[np.uint8], scale: float, size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Warp an image of the whole flat paper, (h, w) or (h, w, C), to a page of (width, height).

        ``scale`` is the number of image pixels in a paper pixel, along each axis. Pixels beside the
        paper are 0.
        """
        width, height = size
        # Coordinates count from the corner of a pixel, so its centre is half a pixel further.
        column, row = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
        m = np.linalg.inv(self.perspective)
        depth = m[2, 0] * column + m[2, 1] * row + m[2, 2]
        x, y = self.curl.undo(
            (m[0, 0] * column + m[0, 1] * row + m[0, 2]) / depth,
            (m[1, 0] * column + m[1, 1] * row + m[1, 2]) / depth,
        )
        map_x = (x * scale - 0.5).astype(np.float32)
        map_y = (y * scale - 0.5).astype(np.float32)
        warped: NDArray[np.uint8] = cv2.remap(  # type: ignore[assignment]
            image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
        )
        return warped


def draw_warp(
    rng: np.random.Generator,
    paper_size: tuple[int, int],
    page_size: tuple[int, int],
    printed: Polygon,
    settings: SynthesisSettings,
) -> Warp:
    """Draw a view of the paper that keeps all ``printed`` points, (N, 2) on the paper, on the page.

    Sizes are (width, height) in pixels.
    """
    width, height = paper_size
    strength = settings.curl * width
    curl = Curl(
        width,
        height,
        bow=strength * rng.uniform(-0.06, 0.06),
        wave=strength * rng.uniform(-0.015, 0.015),
        sway=strength * rng.uniform(-0.03, 0.03),
        taper=rng.uniform(-0.5, 0.5),
        phase=rng.uniform(0, 2 * np.pi),
    )
    corners = rectangle(0, 0, width, height).astype(np.float32)
    reach = 0.06 * settings.perspective * min(width, height)
    moved = (corners + rng.uniform(-reach, reach, (4, 2))).astype(np.float32)
    turn = np.deg2rad(6.0 * settings.perspective * rng.uniform(-1, 1))
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    view = Warp(curl, rotation @ cv2.getPerspectiveTransform(corners, moved))
    return _place_on_page(rng, view, page_size, printed)


def follow_curve(box: Polygon, warp: Warp) -> Polygon:
    """Move a word's box to the page, with more points if the paper is curled.

    Args:
        box: (4, 2) paper pixels, clockwise from the top left.
        warp: Paper to page.

    Returns:
        (2 k, 2) page pixels: the upper side from left to right, then the lower side from right
        to left. On flat paper k is 2; on curled paper it is 4 to 6, more for longer words.
    """
    if warp.curl.is_flat:
        return warp.move(box)
    long = float(np.linalg.norm(box[1] - box[0]) / np.linalg.norm(box[3] - box[0]))
    share = np.linspace(0.0, 1.0, int(np.clip(2 + long, 4, 6)))[:, None]
    upper = box[0] + share * (box[1] - box[0])
    lower = box[2] + share * (box[3] - box[2])
    return warp.move(np.concatenate([upper, lower]))


def _place_on_page(
    rng: np.random.Generator, view: Warp, page_size: tuple[int, int], printed: Polygon
) -> Warp:
    """Shift a view, and shrink it if need be, so that ``printed`` lies on the page."""
    margin = 2.0
    page = np.array(page_size, dtype=np.float64)
    words = np.reshape(bounding_box(view.move(printed)), (2, 2))
    factor = min(1.0, float(np.min((page - 2 * margin) / (words[1] - words[0]))))
    corners = rectangle(0, 0, view.curl.width, view.curl.height)
    sheet = np.reshape(bounding_box(view.move(corners)), (2, 2)) * factor
    words = words * factor
    # Keep the whole sheet on the page if it fits; else let it cover the whole page.
    limits = np.sort(np.stack([-sheet[0], page - sheet[1]]), axis=0)
    shift = rng.uniform(limits[0], limits[1])
    shift = np.clip(shift, margin - words[0], page - margin - words[1])
    placement = np.array([[factor, 0, shift[0]], [0, factor, shift[1]], [0, 0, 1]])
    return replace(view, perspective=placement @ view.perspective)
