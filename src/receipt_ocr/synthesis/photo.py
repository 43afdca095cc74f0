"""Photograph a receipt: the table around it, light and shadow, blur and noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from receipt_ocr.synthesis.distortion import Warp
from receipt_ocr.synthesis.settings import SynthesisSettings


def photograph(
    rng: np.random.Generator,
    ink: NDArray[np.uint8],
    warp: Warp,
    page_size: tuple[int, int],
    settings: SynthesisSettings,
) -> NDArray[np.uint8]:
    """Render the flat print (h, w), 0 where blank, on a table, as a phone sees it.

    Returns the upright page, (height, width, 3) uint8 RGB.
    """
    scale = ink.shape[1] / warp.curl.width
    sheet = np.full(ink.shape, 255, dtype=np.uint8)
    columns = (np.arange(ink.shape[1]) + 0.5) / scale
    shade = np.clip(215 + 260 * warp.curl.slope(columns), 120, 255).astype(np.uint8)
    # The print is finer than the page: without smoothing, sampling would break up strokes.
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.4 * scale) if scale > 1 else ink
    layers = np.dstack([smooth, sheet, np.broadcast_to(shade, ink.shape)]).astype(np.uint8)
    seen = warp.warp_image(layers, scale, page_size).astype(np.float32) / np.float32(255)
    cover = seen[..., 1:2]
    black = seen[..., :1] * rng.uniform(0.8, 0.97)
    white = np.array([1.0, 0.985, 0.96], np.float32) * rng.uniform(0.88, 1.0)
    ink_colour = np.array([0.16, 0.16, 0.2], np.float32) * rng.uniform(0.6, 1.6)
    fibre = 1 + 0.02 * _cloud(rng, page_size, 40)[..., None]
    # At the paper's edge, where sampling mixes a layer with 0, it is already weighted by cover.
    lit = np.divide(seen[..., 2:3], cover, out=np.ones_like(cover), where=cover > 0) / (215 / 255)
    paper = (white * cover * fibre + black * (ink_colour - white)) * lit
    table = _draw_table(rng, page_size) * (1 - _cast_shadow(rng, cover))[..., None]
    light = _draw_light(rng, page_size, settings.shadow)[..., None]
    scene = np.asarray((paper + table * (1 - cover)) * light, dtype=np.float32)
    return _expose(rng, scene, settings)


def _cloud(rng: np.random.Generator, size: tuple[int, int], cell: float) -> NDArray[np.float32]:
    """Smooth noise in [-1, 1], (height, width), with features of about ``cell`` pixels."""
    width, height = size
    shape = (max(2, int(height / cell) + 1), max(2, int(width / cell) + 1))
    coarse = rng.uniform(-1, 1, shape).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size), dtype=np.float32)


_TABLES = (  # darkest and lightest colour of wood (the first two), stone and cloth, in [0, 1]
    ((0.30, 0.19, 0.11), (0.52, 0.36, 0.23)),
    ((0.50, 0.37, 0.24), (0.72, 0.57, 0.40)),
    ((0.20, 0.21, 0.23), (0.34, 0.35, 0.37)),
    ((0.42, 0.43, 0.44), (0.60, 0.60, 0.60)),
    ((0.13, 0.19, 0.27), (0.25, 0.33, 0.42)),
    ((0.24, 0.33, 0.27), (0.40, 0.50, 0.42)),
)


def _draw_table(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Draw the table under the paper, (height, width, 3) in [0, 1]."""
    kind = int(rng.integers(len(_TABLES)))
    dark, light = np.array(_TABLES[kind], dtype=np.float32)
    width, height = size
    grain = rng.standard_normal((height, width), dtype=np.float32)
    # Wood has its grain in one direction; stone and cloth are speckled evenly.
    is_wood = kind < 2
    grain = np.asarray(cv2.blur(grain, (25, 1) if is_wood else (2, 2)), dtype=np.float32)
    grain *= 2.5 if is_wood else 0.6
    mix = 0.5 + 0.25 * _cloud(rng, size, 60) + 0.12 * _cloud(rng, size, 9) + 0.12 * grain
    mix = np.clip(mix, 0, 1)[..., None]
    return np.asarray(dark + (light - dark) * mix, dtype=np.float32)


def _cast_shadow(rng: np.random.Generator, cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shadow of the paper on the table, (height, width) in [0, 1]."""
    shift = np.array([[1, 0, rng.uniform(-5, 5)], [0, 1, rng.uniform(1, 6)]])
    height, width = cover.shape[:2]
    moved = cv2.warpAffine(cover, shift, (width, height))
    return np.asarray(0.5 * cv2.GaussianBlur(moved, (0, 0), 4.0), dtype=np.float32)


def _draw_light(
    rng: np.random.Generator, size: tuple[int, int], strength: float
) -> NDArray[np.float32]:
    """Brightness of the page, (height, width): uneven light and the shadow of a hand."""
    x = np.linspace(-1, 1, 128, dtype=np.float32)  # light is smooth, so a coarse grid will do
    y = np.linspace(-1, 1, 128, dtype=np.float32)[:, None]
    angle, hand = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    fall = 1 - 0.12 * strength * (1 + np.cos(angle) * x + np.sin(angle) * y)
    edge = np.cos(hand) * x + np.sin(hand) * y + 0.15 * np.sin(3 * x - 2 * y + angle)
    softness = rng.uniform(0.05, 0.25)
    in_shade = 1 / (1 + np.exp((rng.uniform(-0.2, 0.9) - edge) / softness))
    light = fall * (1 - rng.uniform(0.0, 0.5) * strength * in_shade)
    return np.asarray(cv2.resize(light, size), dtype=np.float32)


def _expose(
    rng: np.random.Generator, scene: NDArray[np.float32], settings: SynthesisSettings
) -> NDArray[np.uint8]:
    """Add lens blur, colour cast and sensor noise, and round to 8 bits."""
    sigma = settings.blur * rng.uniform(0.2, 1.4)
    if sigma > 0.15:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), sigma), dtype=np.float32)
    cast = 1 + rng.uniform(-0.025, 0.025, 3).astype(np.float32)
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    level = 0.05 * settings.noise * rng.uniform(0.3, 1.0)
    exposed = 255 * (scene * cast + np.float32(level) * noise) + 0.5
    return np.clip(exposed, 0, 255).astype(np.uint8)
