"""A trained detector at work: images in, probability maps and polygons out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from receipt_ocr.decoding.maps import MapSource, ProbabilityMap
from receipt_ocr.decoding.postprocess import Detections, extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.detector.checkpoint import Checkpoint, build_from_checkpoint, read_checkpoint
from receipt_ocr.detector.network import DBNet
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.detector.tta import list_views, predict_augmented, relative_cost
from receipt_ocr.detector.tta_settings import TtaSettings
from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.letterbox import fit_frame

log = logging.getLogger(__name__)


class Detector:
    """Finds the text of a receipt.

    Example:
        >>> detector = Detector.from_checkpoint("best.ckpt")  # doctest: +SKIP
        >>> detector.detect(image).polygons  # doctest: +SKIP
    """

    def __init__(
        self,
        network: DBNet,
        recipe: Recipe,
        postprocess: PostprocessSettings | None = None,
        device: str | None = None,
        tta: TtaSettings | None = None,
    ) -> None:
        """Put a network to work in the frames of the recipe that it was trained with.

        None takes the recipe's post-processing, a GPU where there is one, and the plain view.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = network.to(self.device).eval()
        self.frame = recipe.frame
        self.postprocess = postprocess or recipe.postprocess
        self.tta = tta or TtaSettings()

    @classmethod
    def from_checkpoint(
        cls,
        path: Path | str,
        postprocess: PostprocessSettings | None = None,
        device: str | None = None,
    ) -> Self:
        """Read a detector from a file that a training wrote; see :func:`read_checkpoint`."""
        return cls.restore(read_checkpoint(path), postprocess=postprocess, device=device)

    @classmethod
    def restore(
        cls,
        checkpoint: Checkpoint,
        expected: Recipe | None = None,
        postprocess: PostprocessSettings | None = None,
        device: str | None = None,
        tta: TtaSettings | None = None,
    ) -> Self:
        """Build a detector from a checkpoint in memory; see :func:`build_from_checkpoint`."""
        network = build_from_checkpoint(checkpoint, expected)
        return cls(network, checkpoint.recipe, postprocess, device, tta)

    def source_of(self, checkpoint: Checkpoint) -> str:
        """Name the source of this detector's maps: fingerprint of the weights, and TTA views."""
        return str(MapSource(checkpoint.fingerprint, self.tta.label))

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find the words of one page, in its pixels; see :meth:`predict_map` for the image."""
        page = self.predict_map(image)
        return extract_polygons(page.values, page.map_to_page, self.postprocess)

    def predict_map(self, image: NDArray[np.uint8]) -> ProbabilityMap:
        """Predict the probability map of an upright page (H, W, 3), in its letterboxed frame.

        Raises:
            ValueError: If the image is of another shape, or not uint8 RGB.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        frame = fit_frame(width, height, self.frame.final_size, self.frame.shape)
        probability = predict_augmented(image, frame, self.tta, self.frame, self._predict)
        return ProbabilityMap.from_probability(probability, frame.map_to_page, width, height)

    def _predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            maps = self.network.predict(batch.to(self.device))
        return maps[:, 0].cpu().numpy()


def detect_images(
    detector: Detector, images: Mapping[str, Path]
) -> tuple[dict[str, Sequence[Polygon]], dict[str, tuple[int, int]]]:
    """Find the words on many images: polygons in upright page pixels, and (width, height).

    An image that cannot be read is left out of both, with a warning.
    """
    polygons: dict[str, Sequence[Polygon]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name, path in tqdm(images.items(), desc="detection", unit="page", disable=None):
        try:
            image = read_upright(path)
        except ValueError as error:
            log.warning("Left out: %s", error)
            continue
        polygons[name] = detector.detect(image).polygons
        sizes[name] = (image.shape[1], image.shape[0])
    return polygons, sizes


def predict_maps(
    detector: Detector, images: Mapping[str, Path]
) -> dict[str, Callable[[], ProbabilityMap]]:
    """Prepare the maps of many pages: page name -> function that predicts its map.

    A data set's maps take gigabytes: storing them page by page holds one in memory at a time.
    """
    tta = detector.tta
    if images and tta.label:
        views, cost = len(list_views(tta)), relative_cost(tta)
        log.info("%d TTA views of each page (%s): %.1f x the pixels", views, tta.label, cost)
    return {name: partial(_predict_page, detector, name, path) for name, path in images.items()}


def _predict_page(detector: Detector, name: str, path: Path) -> ProbabilityMap:
    image = read_upright(path)
    try:
        return detector.predict_map(image)
    except ValueError as error:  # such as a map that is not finite
        raise ValueError(f"the map of page {name!r}: {error}") from error
