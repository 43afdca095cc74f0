"""Plan an epoch: which pages come together in a batch, and the window of each."""

import math
from collections.abc import Sequence

import numpy as np

from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.samples import SampleRequest
from receipt_ocr.receipts.settings import FrameSettings

_SHAPE_JITTER = 0.15  # of log(height / width), so that batches differ from epoch to epoch
_ROUNDING = 1e-6  # of a sum of weights
_SHAPES, _VISITS = 1, 2  # third part of the seeds of what is drawn beside an epoch's order


def order_pages(count: int, seed: int, epoch: int) -> list[int]:
    """Draw the order in which an epoch visits the pages, from seed and epoch."""
    permutation: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    return permutation


def count_batches(pages: Sequence[LabelledPage], batch_size: int, processes: int = 1) -> int:
    """Batches of an epoch in each process; all processes have as many, so a rest is left out."""
    visits = math.floor(sum(page.weight for page in pages) + _ROUNDING)
    return max(1, visits // (batch_size * processes))


def plan_batches(
    pages: Sequence[LabelledPage],
    frame: FrameSettings,
    batch_size: int,
    draw: tuple[int, int],
    share: tuple[int, int] = (0, 1),
) -> list[list[SampleRequest]]:
    """Draw the batches of an epoch, from seed and epoch alone.

    With a crop or square frames, all windows are alike and batches are random. Whole pages in
    frames of their own shape are grouped by shape, so that little is padded; all windows of a
    batch are as high and as wide as its largest page needs. Pages that would not fill the last
    batch are left out, different ones in every epoch.

    Args:
        pages: To train on.
        frame: Size at this epoch, shape and crop.
        batch_size: Samples in a batch.
        draw: (seed, epoch).
        share: (rank, processes): which part of the batches to return.

    Returns:
        The requests of each batch of this process. If there are fewer pages than fill a batch in
        every process, each process gets one small batch.
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
    if len(batches) < processes:  # too few pages: some processes share a batch
        return [batches[rank % len(batches)]]
    return batches[rank::processes]


def _draw_visits(pages: Sequence[LabelledPage], draw: tuple[int, int]) -> list[tuple[int, int]]:
    """(page, visit) for each visit of the epoch; on average, a page's weight is its visits.

    This is systematic sampling: the number of all visits differs by less than one from epoch to
    epoch, and a page of whole weight has that many in every epoch.
    """
    weights = np.array([page.weight for page in pages])
    is_whole = bool((weights == np.floor(weights)).all())
    offset = 0.5 if is_whole else np.random.default_rng((*draw, _VISITS)).uniform()
    ends = np.floor(np.cumsum(weights) + offset).astype(int)
    numbers = np.diff(ends, prepend=0)
    return [(index, visit) for index, number in enumerate(numbers) for visit in range(number)]


def _deal_by_shape(
    pages: Sequence[LabelledPage],
    visits: Sequence[tuple[int, int]],
    size: int,
    batch_size: int,
    rng: np.random.Generator,
) -> list[list[SampleRequest]]:
    """Batch whole pages of similar shapes; the batches come in random order."""
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
