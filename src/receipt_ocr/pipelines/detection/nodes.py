"""Nodes of the detection stage."""

import logging
from typing import Any

from receipt_ocr.detector.settings import DetectionSettings
from receipt_ocr.detector.trained import Checkpoint
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.identity import fold_name
from receipt_ocr.records import TunedPostprocess, Voting
from receipt_ocr.search.choice import choose_postprocess

log = logging.getLogger(__name__)

SHOWN = 6
COLUMNS = 3
TILE_HEIGHT = 700


def detect_folder(
    detection: DetectionSettings,
    tta: TtaVariants,
    fold: int,
    checkpoint: Checkpoint,
    tuned: TunedPostprocess | None,
) -> dict[str, Any]:
    """The words of every image in a folder, in the competition's JSON."""
    from receipt_ocr.contest.submission import build_submission
    from receipt_ocr.detector.inference import Detector, detect_images
    from receipt_ocr.receipts.images import list_images

    detector = Detector.restore(checkpoint, tta=tta.chosen)
    member = Voting.of_one(fold_name(fold), detector.source_of(checkpoint))
    chosen = choose_postprocess("auto", detector.postprocess, member, tuned)
    detector.postprocess = chosen.postprocess
    polygons, sizes = detect_images(detector, list_images(detection.images_folder))
    words = sum(len(found) for found in polygons.values())
    log.info("Found %d words on %d images of %s", words, len(sizes), detection.images)
    return build_submission(polygons, sizes)


def draw_detections(detection: DetectionSettings, detected: dict[str, Any]) -> object:
    """The first images with the words found on them (a Pillow image)."""
    from PIL import Image

    from receipt_ocr.pictures.gallery import contact_sheet, draw_page
    from receipt_ocr.receipts.images import read_upright

    shown = list(detected["images"])[:SHOWN]
    tiles = []
    for name in shown:
        words = detected["images"][name]["words"].values()
        image = read_upright(detection.images_folder / name)
        tiles.append(draw_page(image, [], [w["points"] for w in words], height=TILE_HEIGHT))
    return Image.fromarray(contact_sheet(tiles, shown, COLUMNS))
