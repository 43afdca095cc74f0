"""Which pages come together in a training batch, and how large a window each is seen through."""

import math
from collections.abc import Sequence

import numpy as np

from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.samples import LabelledPage, SampleRequest
from receipt_ocr.receipts.settings import FrameSettings

__all__ = ["count_batches", "order_pages", "plan_batches"]

_SHAPE_JITTER = 0.15  # so that pages of like shapes meet others of them in every epoch
_ROUNDING = 1e-6  # of a sum of weights
_SHAPES, _VISITS = 1, 2  # name the random numbers of an epoch that are not its order


def order_pages(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits the pages: a permutation drawn from seed and epoch."""
    permutation: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    return permutation


def count_batches(pages: Sequence[LabelledPage], batch_size: int, processes: int = 1) -> int:
    """Batches an epoch for each process; what does not fill one in every process is left out."""
    visits = math.floor(sum(page.weight for page in pages) + _ROUNDING)
    return max(1, visits // (batch_size * processes))


def plan_batches(
    pages: Sequence[LabelledPage],
    frame: FrameSettings,
    batch_size: int,
    draw: tuple[int, int],
    share: tuple[int, int] = (0, 1),
) -> list[list[SampleRequest]]:
    """An epoch's batches, drawn from seed and epoch alone.

    With a crop or square frames all windows are alike and pages come in any company. Whole pages
    in frames of their own shape are dealt to batches by shape, so that little is padded; the
    frames of a batch are as high and as wide as its largest ones. A few pages are left out where
    the last batch would not be full, others in every epoch.

    Args:
        pages: To train on.
        frame: Size at this epoch, shape and crop.
        batch_size: Samples a batch.
        draw: (seed, epoch).
        share: (rank, processes): which batches are meant; every process gets as many.

    Returns:
        For each batch of this process what is asked of the loader. Fewer pages than fill a batch
        for every process make one small batch a process.
    """
    seed, epoch = draw
    rank, processes = share
    visits = _draw_visits(pages, draw)
    count = count_batches(pages, batch_size, processes) * batch_size * processes
    chosen = [visits[k] for k in order_pages(len(visits), seed, epoch)[:count]]
    size = frame.size_at(epoch)
    if frame.crop is not None or frame.shape == "square":
        height, width = frame.crop or (size, size)
        requests = [SampleRequest(index, height, width, visit) for index, visit in chosen]
        batches = [requests[k : k + batch_size] for k in range(0, len(requests), batch_size)]
    else:
        rng = np.random.default_rng((*draw, _SHAPES))
        batches = _deal_by_shape(pages, chosen, size, batch_size, rng)
    if len(batches) < processes:  # so few pages that some batch must serve twice
        return [batches[rank % len(batches)]]
    return batches[rank::processes]


def _draw_visits(pages: Sequence[LabelledPage], draw: tuple[int, int]) -> list[tuple[int, int]]:
    """(page, visit) for each visit of the epoch: as many a page as its weight, on average.

    Systematic sampling: their sum differs by less than one from epoch to epoch, and a whole
    weight has as many visits in every one.
    """
    weights = np.array([page.weight for page in pages])
    offset = 0.5 if (weights == np.floor(weights)).all() else _uniform((*draw, _VISITS))
    ends = np.floor(np.cumsum(weights) + offset).astype(int)
    numbers = np.diff(ends, prepend=0)
    return [(index, visit) for index, number in enumerate(numbers) for visit in range(number)]


def _uniform(draw: tuple[int, ...]) -> float:
    return float(np.random.default_rng(draw).uniform())


def _deal_by_shape(
    pages: Sequence[LabelledPage],
    visits: Sequence[tuple[int, int]],
    size: int,
    batch_size: int,
    rng: np.random.Generator,
) -> list[list[SampleRequest]]:
    """Batches of whole pages of like shapes, in random order."""
    frames = {k: fit_frame(pages[k].width, pages[k].height, size, "page") for k, _ in visits}
    jitter = rng.uniform(-_SHAPE_JITTER, _SHAPE_JITTER, len(visits)).tolist()
    ranked = sorted(
        (math.log(frames[k].height / frames[k].width) + noise, k, visit)
        for (k, visit), noise in zip(visits, jitter, strict=True)
    )
    dealt = [ranked[k : k + batch_size] for k in range(0, len(ranked), batch_size)]
    batches = []
    for place in rng.permutation(len(dealt)).tolist():
        members = dealt[place]
        height = max(frames[k].height for _, k, _ in members)
        width = max(frames[k].width for _, k, _ in members)
        batches.append([SampleRequest(k, height, width, visit) for _, k, visit in members])
    return batches
