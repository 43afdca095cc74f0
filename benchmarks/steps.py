"""The three steps of the numeric core as calls, in the plain way and in the package's."""

from collections.abc import Callable

import numpy as np

from benchmarks import plain_cleval, plain_postprocess, plain_targets
from benchmarks.page_sets import BenchmarkPage
from receipt_ocr.decoding.postprocess import PostprocessSettings, extract_polygons
from receipt_ocr.evaluation.cleval import CLEvalSettings, score_page
from receipt_ocr.receipts.targets import TargetSettings, render_targets

Call = Callable[[], object]

_MANY = 10_000  # detections and candidates: usual limits would hide what larger pages cost
_TARGETS = TargetSettings(min_height=0.0)  # the plain version masks no small words
_POSTPROCESS = PostprocessSettings(candidate_order="contour", max_candidates=_MANY)


def _cleval(page: BenchmarkPage) -> tuple[Call, Call]:
    settings = CLEvalSettings(max_detections=_MANY)
    return (
        lambda: plain_cleval.score_page(page.truth, page.detections, max_detections=_MANY),
        lambda: score_page(page.truth, page.detections, settings=settings),
    )


def _targets(page: BenchmarkPage) -> tuple[Call, Call]:
    height, width = page.stored_map.shape
    return (
        lambda: plain_targets.render_targets(page.framed_words, height, width),
        lambda: render_targets(  # as the loader does: masks of bytes
            page.framed_words, height, width, _TARGETS, mask_type=np.uint8
        ),
    )


def _postprocess(page: BenchmarkPage) -> tuple[Call, Call]:
    return (
        lambda: _decode_plainly(page, _POSTPROCESS),
        lambda: extract_polygons(page.stored_map, page.map_to_page, _POSTPROCESS),
    )


STEPS: dict[str, Callable[[BenchmarkPage], tuple[Call, Call]]] = {
    "CLEval": _cleval,
    "targets": _targets,
    "post-processing": _postprocess,
}
"""Step -> the plain and the fast call for a page."""


def plain_anew(page: BenchmarkPage, settings: PostprocessSettings) -> float:
    """Decode and score a page with the plain versions: its H-mean."""
    polygons = _decode_plainly(page, settings)
    return plain_cleval.hmean(plain_cleval.score_page(page.truth, polygons))


def anew(page: BenchmarkPage, settings: PostprocessSettings) -> float:
    """Decode and score a page with the package, nothing kept from other settings: its H-mean."""
    found = extract_polygons(page.stored_map, page.map_to_page, settings)
    return score_page(page.truth, found.polygons).hmean


def _decode_plainly(
    page: BenchmarkPage, settings: PostprocessSettings
) -> list[plain_postprocess.Polygon]:
    polygons, _ = plain_postprocess.extract_polygons(
        page.stored_map.astype(np.float32) / np.float32(255.0),
        page.map_to_page,
        thresh=settings.thresh,
        box_thresh=settings.box_thresh,
        unclip_ratio=settings.unclip_ratio,
        max_candidates=settings.max_candidates,
        min_size=settings.min_size,
    )
    return polygons
