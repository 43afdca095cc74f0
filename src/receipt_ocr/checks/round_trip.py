"""Round trips: a page's targets, decoded as if they were a network's perfect output.

Their score is about the best that the settings allow. A low one means that frame, targets and
post-processing do not fit one another or the labels, and no training will mend that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from receipt_ocr.checks.findings import Finding, Level
from receipt_ocr.config import Config
from receipt_ocr.decoding.postprocess import extract_polygons
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import PageScore, score_page
from receipt_ocr.evaluation.settings import CLEvalSettings
from receipt_ocr.geometry.polygons import Polygon, transform_polygon
from receipt_ocr.pictures.gallery import contact_sheet, draw_page
from receipt_ocr.pictures.targets import draw_targets
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import Frame, fit_frame, letterbox
from receipt_ocr.receipts.settings import FrameSettings, TargetSettings
from receipt_ocr.receipts.targets import Targets, render_targets

GOOD_HMEAN = 0.97
BAD_HMEAN = 0.8
REPAIR = 0.01  # H-mean: a change that gains less is no cause
EXPLAINED_PAGES = 6  # pages that every change of settings is tried on
MOST_OF_THE_GAIN = 0.7  # share of the largest gain that makes a cheaper change the better advice

NOTHING_TO_LEARN = Finding(
    "problem",
    "round trip",
    "no train page has a word to learn, so that no target can be drawn and no page learnt",
    "check jsons/train.json, the rejected records and the 'illegibility' flags",
)


class TripSettings(Config):
    """Settings for drawing targets and decoding them."""

    frame: FrameSettings = FrameSettings()
    targets: TargetSettings = TargetSettings()
    postprocess: PostprocessSettings = PostprocessSettings()


@dataclass(frozen=True)
class RoundTrip:
    """One page's labels drawn as targets, and the polygons decoded from them."""

    page: LabelledPage
    settings: TripSettings
    frame: Frame
    """The page's frame at the final size."""
    targets: Targets
    """Drawn in the frame."""
    polygons: tuple[Polygon, ...]
    """Decoded from the shrink map, upright page pixels."""
    score: PageScore
    """Score of the polygons against the labels."""


def check_pages(
    pages: Sequence[LabelledPage], settings: TripSettings
) -> tuple[Finding, NDArray[np.uint8]]:
    """Judge the round trips of some pages, and draw the worst: (H, W, 3) RGB, white without any."""
    if not pages:
        return NOTHING_TO_LEARN, np.full((64, 64, 3), 255, dtype=np.uint8)
    trips = [decode_targets(page, settings) for page in pages]
    worst = min(trips, key=lambda trip: trip.score.hmean)
    return inspect_round_trips(trips), draw_round_trip(worst, read_upright(worst.page.path))


def decode_targets(page: LabelledPage, settings: TripSettings) -> RoundTrip:
    """Draw a page's targets at the final size and decode the shrink map as a perfect output."""
    frame = fit_frame(page.width, page.height, settings.frame.final_size, settings.frame.shape)
    framed = [transform_polygon(polygon, frame.page_to_map) for polygon in page.polygons]
    targets = render_targets(
        framed, frame.height, frame.width, settings.targets, ignored=page.ignored
    )
    found = extract_polygons(targets.shrink_map, frame.map_to_page, settings.postprocess)
    score = score_page(page.polygons, found.polygons, ignored=page.ignored)
    return RoundTrip(page, settings, frame, targets, found.polygons, score)


def inspect_round_trips(trips: Sequence[RoundTrip]) -> Finding:
    """Judge the round trips of some pages, and trace a low score to its cause.

    Raises:
        ValueError: If there are no round trips.
    """
    if not trips:
        raise ValueError("no round trips to judge: choose pages with words")
    worst = min(trips, key=lambda trip: trip.score.hmean)
    mean = _mean_hmean([trip.score for trip in trips])
    message = (
        f"polygons decoded from the targets themselves reach H-mean {mean:.4f} on {len(trips)} "
        f"pages (worst {worst.page.name} with {worst.score.hmean:.4f}): about the most that a "
        "perfect network could"
    )
    if mean >= GOOD_HMEAN and worst.score.hmean >= BAD_HMEAN:
        return Finding("ok", "round trip", message)
    level: Level = "problem" if mean < BAD_HMEAN else "warning"
    return Finding(level, "round trip", message, _explain(trips))


def inspect_capacity(word_counts: Sequence[int], postprocess: PostprocessSettings) -> Finding:
    """Check that decoder and score can hold all the words of the fullest page.

    Args:
        word_counts: Words on each page.
        postprocess: Holds the decoder's limit.
    """
    most, cap = max(word_counts, default=0), CLEvalSettings().max_detections
    limit = min(postprocess.max_candidates, cap)
    message = (
        f"the fullest page has {most} words; max_candidates is {postprocess.max_candidates}, and "
        f"CLEval looks at {cap} detections"
    )
    if most <= limit:
        return Finding("ok", "words a page", message)
    full = sum(count > limit for count in word_counts)
    message += f"; {full} pages have more than {limit} words and will lose some"
    if postprocess.max_candidates < cap:
        return Finding("warning", "words a page", message, "raise postprocess.max_candidates")
    advice = "the score ignores what goes beyond: the order of detections matters (by score)"
    return Finding("warning", "words a page", message, advice)


def draw_round_trip(
    trip: RoundTrip, image: NDArray[np.uint8], *, height: int = 900
) -> NDArray[np.uint8]:
    """Draw the page with its targets, beside the page with the polygons decoded from them.

    ``image`` is the upright page, (H, W, 3) RGB; each picture is ``height`` pixels high and has a
    caption below it.
    """
    frame = trip.frame
    rows = slice(frame.top, frame.top + frame.inner_height)
    columns = slice(frame.left, frame.left + frame.inner_width)
    left = draw_targets(
        letterbox(image, frame)[rows, columns],
        trip.targets.shrink_map[rows, columns],
        trip.targets.threshold_map[rows, columns],
        height=height,
    )
    right = draw_page(image, trip.page.polygons, trip.polygons, trip.score, height=height)
    captions = [
        f"targets at {trip.settings.frame.final_size} px",
        f"decoded from the targets: H-mean {trip.score.hmean:.4f}",
    ]
    return contact_sheet([left, right], captions, columns=2)


def _explain(trips: Sequence[RoundTrip]) -> str:
    """Find the change of settings that would repair most; without one, blame the labels."""
    ranked = sorted(trips, key=lambda trip: trip.score.hmean)
    sample = ranked[:: -(-len(ranked) // EXPLAINED_PAGES)]
    now = _mean_hmean([trip.score for trip in sample])
    gains = {
        advice: _mean_hmean([decode_targets(trip.page, settings).score for trip in sample]) - now
        for advice, settings in _remedies(sample[0].settings)
    }
    # Larger frames cost time and repair much by the way: they come last.
    largest = max(gains.values())
    advice, gain = next(item for item in gains.items() if item[1] >= MOST_OF_THE_GAIN * largest)
    if gain > REPAIR:
        return f"{advice}: that alone leads from {now:.4f} to {now + gain:.4f}"
    pages = [trip.page for trip in sample]
    own = _mean_hmean([score_page(p.polygons, p.polygons, ignored=p.ignored) for p in pages])
    if own < GOOD_HMEAN:
        return (
            f"labels overlap or are no polygons in the pixels of their page: scored against "
            f"themselves they reach {own:.4f}; look at the picture"
        )
    return "frame, targets and postprocess do not fit one another; look at the picture"


def _mean_hmean(scores: Sequence[PageScore]) -> float:
    return float(np.mean([score.hmean for score in scores]))


def _remedies(settings: TripSettings) -> Iterator[tuple[str, TripSettings]]:
    """Changes worth trying: advice, and the settings that follow it."""
    frame, targets, postprocess = settings.frame, settings.targets, settings.postprocess

    def changed(**blocks: Config) -> TripSettings:
        return settings.model_copy(update=blocks)

    yield (
        f"lower targets.min_height (now {targets.min_height:g}): words are masked as too small",
        changed(targets=targets.model_copy(update={"min_height": 0.0})),
    )
    yield (
        f"use the usual targets.shrink_ratio of 0.4 (now {targets.shrink_ratio:g})",
        changed(targets=targets.model_copy(update={"shrink_ratio": 0.4})),
    )
    for key, value in (
        ("min_size", 0.0),
        ("unclip_ratio", PostprocessSettings().unclip_ratio),
        ("max_candidates", 10_000),
        ("thresh", 0.3),
        ("box_thresh", 0.0),
        ("shape", "polygon"),
        ("shape", "box"),
    ):
        yield (
            f"set postprocess.{key} to {value} (now {getattr(postprocess, key)})",
            changed(postprocess=postprocess.model_copy(update={key: value})),
        )
    larger = tuple(stage.model_copy(update={"size": 2 * stage.size}) for stage in frame.sizes)
    yield (
        f"double the frame (recipe.frame.sizes, now {frame.final_size})",
        changed(frame=frame.model_copy(update={"sizes": larger})),
    )
