"""Test-time augmentation (TTA): several views of a page are predicted, and their maps averaged.

Flips and turns act on the whole framed image, so that their inverse moves map pixels and nothing
else: boxes come out where the words are. A page at another scale has a frame of its own; its map
comes back through both frames' exact matrices.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.decoding.ensemble import MeanOfMaps
from receipt_ocr.decoding.frames import MapFrame, align_map
from receipt_ocr.detector.tta_settings import TtaSettings
from receipt_ocr.receipts.letterbox import Frame, fit_frame, letterbox
from receipt_ocr.receipts.settings import STRIDE, FrameSettings

Image = NDArray[np.uint8]
Map = NDArray[np.float32]
Predict = Callable[[NDArray[np.uint8]], Map]
"""(B, H, W, 3) uint8 RGB -> (B, H, W) probabilities."""

_QUARTER = 90


@dataclass(frozen=True)
class TtaView:
    """One view of a page; see :class:`TtaSettings`."""

    scale: float = 1.0
    flip: str = ""
    """``horizontal``, ``vertical`` or empty."""
    turn: int = 0

    def apply(self, framed: Image) -> Image:
        """Flip and turn the framed image (H, W, 3)."""
        seen: Image = np.rot90(self._mirror(framed), self.turn // _QUARTER)
        return seen

    def undo(self, probability: Map) -> Map:
        """Bring the map of such an image back to the frame (H, W)."""
        turned: Map = self._mirror(np.rot90(probability, -self.turn // _QUARTER))
        return turned

    def _mirror(self, values: Any) -> Any:
        if self.flip == "horizontal":
            return values[:, ::-1]
        return values[::-1] if self.flip == "vertical" else values


def list_views(settings: TtaSettings) -> list[TtaView]:
    """List every view: at each scale the page upright, and each flip and turn of it."""
    flips = [TtaView(flip=flip) for flip in settings.flips]
    turns = [TtaView(turn=turn) for turn in settings.turns]
    views = [TtaView(), *flips, *turns]
    return [replace(view, scale=scale) for scale in settings.scales for view in views]


def relative_cost(settings: TtaSettings) -> float:
    """Compare the pixels that the network sees with those of the plain view."""
    return sum(view.scale**2 for view in list_views(settings))


def predict_augmented(
    image: Image, frame: Frame, settings: TtaSettings, shape: FrameSettings, predict: Predict
) -> Map:
    """Average an upright page's maps over all views, in the page's frame at scale 1.

    Views of one shape come to ``predict`` in one batch. ``shape`` describes the frames that the
    detector was trained for.

    Returns:
        (height, width) of the frame, text probability in [0, 1], 0 outside the page.
    """
    own = _map_frame(frame)
    mean = MeanOfMaps(settings.mean)
    for scale, views in groupby(list_views(settings), key=lambda view: view.scale):
        scaled = frame if scale == 1.0 else _scale_frame(frame, shape, scale)
        for probability in _predict_views(letterbox(image, scaled), list(views), predict):
            scaled.blank_padding(probability)
            mean.add(align_map(probability, _map_frame(scaled), own))
    return mean.conclude()


def _scale_frame(frame: Frame, settings: FrameSettings, scale: float) -> Frame:
    """Fit the same page at another scale, padded to what the network can take."""
    size = max(1, round(settings.final_size * scale))
    scaled = fit_frame(frame.page_width, frame.page_height, size, "page")
    if settings.shape == "page":
        return scaled
    side = -(-size // STRIDE) * STRIDE
    return replace(scaled, height=side, width=side)


def _predict_views(framed: Image, views: Sequence[TtaView], predict: Predict) -> Iterator[Map]:
    """Predict each view's map, back in the frame; lying pages in another batch than standing."""
    for lying in (False, True):
        chosen = [view for view in views if (view.turn % 180 != 0) == lying]
        if not chosen:
            continue
        batch = np.stack([view.apply(framed) for view in chosen])
        for view, probability in zip(chosen, predict(batch), strict=True):
            yield np.ascontiguousarray(view.undo(probability))


def _map_frame(frame: Frame) -> MapFrame:
    return MapFrame(
        (frame.height, frame.width), frame.map_to_page, frame.page_width, frame.page_height
    )
