"""Test-time augmentation: the network looks at a page in several ways, and the maps are averaged.

Flips and turns act on the whole framed image, so that their inverse moves map pixels and nothing
else. A page at another scale has a frame of its own; its map comes back through both frames'
exact matrices.
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

__all__ = ["View", "list_views", "predict_augmented", "relative_cost"]

Image = NDArray[np.uint8]
Map = NDArray[np.float32]
Predict = Callable[[NDArray[np.uint8]], Map]
"""(B, H, W, 3) uint8 RGB -> (B, H, W) probabilities."""

_QUARTER = 90


@dataclass(frozen=True)
class View:
    """One way to look at a page.

    Attributes:
        scale: Of the page's longest side, against the frame that the detector was trained for.
        flip: ``horizontal``, ``vertical`` or empty.
        turn: Degrees anticlockwise: 0, 90, 180 or 270.
    """

    scale: float = 1.0
    flip: str = ""
    turn: int = 0

    def apply(self, framed: Image) -> Image:
        """The framed image (H, W, 3) as this view shows it."""
        seen: Image = np.rot90(self._mirror(framed), self.turn // _QUARTER)
        return seen

    def undo(self, probability: Map) -> Map:
        """The map (H, W) of such an image, back in the frame."""
        turned: Map = self._mirror(np.rot90(probability, -self.turn // _QUARTER))
        return turned

    def _mirror(self, values: Any) -> Any:
        if self.flip == "horizontal":
            return values[:, ::-1]
        return values[::-1] if self.flip == "vertical" else values


def list_views(settings: TtaSettings) -> list[View]:
    """Every view: at each scale the page upright, and each flip and turn of it."""
    return [
        View(scale, flip, turn)
        for scale in settings.scales
        for flip, turn in (
            ("", 0),
            *((flip, 0) for flip in settings.flips),
            *(("", turn) for turn in settings.turns),
        )
    ]


def relative_cost(settings: TtaSettings) -> float:
    """Pixels that the network sees, against one plain look at the page."""
    return sum(view.scale**2 for view in list_views(settings))


def predict_augmented(
    image: Image, frame: Frame, settings: TtaSettings, shape: FrameSettings, predict: Predict
) -> Map:
    """Mean map of a page over all views, in the detector's own frame.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        frame: Of the page at scale 1.
        settings: Which views.
        shape: Size and shape of frames that the detector was trained for.
        predict: The network; views of one shape come to it in one batch.

    Returns:
        (height, width) of the frame, text probability in [0, 1], 0 outside the page.
    """
    own = _map_frame(frame)
    mean = MeanOfMaps(settings.mean)
    for scale, views in groupby(list_views(settings), key=lambda view: view.scale):
        scaled = frame if scale == 1.0 else scale_frame(frame, shape, scale)
        for probability in _look(letterbox(image, scaled), list(views), predict):
            scaled.blank_padding(probability)
            mean.add(align_map(probability, _map_frame(scaled), own))
    return mean.conclude()


def scale_frame(frame: Frame, settings: FrameSettings, scale: float) -> Frame:
    """The frame of the same page at another scale, padded to what the network can take."""
    size = max(1, round(settings.final_size * scale))
    scaled = fit_frame(frame.page_width, frame.page_height, size, "page")
    if settings.shape == "page":
        return scaled
    side = -(-size // STRIDE) * STRIDE
    return replace(scaled, height=side, width=side)


def _look(framed: Image, views: Sequence[View], predict: Predict) -> Iterator[Map]:
    """The map of each view, back in the frame; lying pages apart from standing ones."""
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
