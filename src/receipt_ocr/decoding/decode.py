"""Stored maps of many pages -> polygons and scores, one page in memory at a time."""

from collections.abc import Iterator, Mapping

from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.postprocess import Detections, extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import PageScore, TruthWords, score_prepared
from receipt_ocr.geometry.polygons import Polygon


def decode_maps(
    maps: Mapping[str, LoadMap], settings: PostprocessSettings
) -> Iterator[tuple[str, Detections]]:
    """Decode page by page: name of the page, and its words in upright page pixels."""
    for page, load in maps.items():
        page_map = load()
        yield page, extract_polygons(page_map.probability, page_map.map_to_page, settings)


def score_maps(
    maps: Mapping[str, LoadMap], truths: Mapping[str, TruthWords], settings: PostprocessSettings
) -> dict[str, PageScore]:
    """Decode and score the pages that have a truth; the others are not even read."""
    return {page: score for page, (_, score) in judge_maps(maps, truths, settings).items()}


def judge_maps(
    maps: Mapping[str, LoadMap], truths: Mapping[str, TruthWords], settings: PostprocessSettings
) -> dict[str, tuple[tuple[Polygon, ...], PageScore]]:
    """Decode and score each page; return its polygons (upright page pixels) beside the score."""
    known = {page: load for page, load in maps.items() if page in truths}
    return {
        page: (found.polygons, score_prepared(truths[page], found.polygons))
        for page, found in decode_maps(known, settings)
    }
