"""Batches: every page once, windows that hold their pages, and shares for several processes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipt_ocr.receipts.batches import count_batches, order_pages, plan_batches
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.receipts.letterbox import fit_frame
from receipt_ocr.receipts.samples import SampleRequest
from receipt_ocr.receipts.settings import FrameSettings

SQUARE = FrameSettings(sizes={0: 64, 2: 96})
WHOLE = FrameSettings(sizes={0: 64, 2: 96}, shape="page")


def make_pages(count: int) -> list[LabelledPage]:
    rng = np.random.default_rng(3)
    return [
        LabelledPage(f"{k}.png", Path(f"{k}.png"), int(w), int(h), [], [])
        for k, (w, h) in enumerate(rng.integers(200, 900, (count, 2)))
    ]


@given(st.integers(0, 300), st.integers(0, 1000), st.integers(0, 50))
def test_an_epochs_order_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    order = order_pages(count, seed, epoch)
    assert sorted(order) == list(range(count))
    assert order == order_pages(count, seed, epoch)


def test_square_frames_come_in_the_epochs_order() -> None:
    batches = plan_batches(make_pages(7), SQUARE, 3, draw=(1, 2))
    order = order_pages(7, 1, 2)
    assert batches == [[SampleRequest(k, 96, 96) for k in order[a : a + 3]] for a in (0, 3)]
    cropped = SQUARE.model_copy(update={"crop": (32, 64), "shape": "page"})
    assert plan_batches(make_pages(7), cropped, 3, draw=(1, 0))[0][0][1:3] == (32, 64)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3), st.integers(0, 9), st.booleans())
def test_processes_share_an_epoch_and_no_page_comes_twice(
    count: int, batch_size: int, processes: int, epoch: int, is_whole: bool
) -> None:
    pages, frame = make_pages(count), WHOLE if is_whole else SQUARE
    shares = [
        plan_batches(pages, frame, batch_size, (5, epoch), (rank, processes))
        for rank in range(processes)
    ]
    assert {len(share) for share in shares} == {count_batches(pages, batch_size, processes)}
    if count < batch_size * processes:
        return
    asked = [request.page for share in shares for batch in share for request in batch]
    whole = batch_size * processes
    assert len(asked) == len(set(asked)) == count // whole * whole
    assert all(len(batch) == batch_size for share in shares for batch in share)


def test_whole_pages_fit_their_windows_and_little_is_padded() -> None:
    pages = make_pages(120)
    needed, given_ = 0, 0
    for batch in plan_batches(pages, WHOLE, 4, draw=(0, 2)):
        assert len({request[1:3] for request in batch}) == 1
        for request in batch:
            page = pages[request.page]
            frame = fit_frame(page.width, page.height, 96, "page")
            assert frame.height <= request.height
            assert frame.width <= request.width
            assert request.height % 32 == request.width % 32 == 0
            needed += frame.height * frame.width
            given_ += request.height * request.width
    # In random company a batch must hold its highest and its widest page: about 0.7.
    assert needed / given_ > 0.85


def test_whole_pages_meet_others_in_every_epoch_and_all_have_their_turn() -> None:
    pages = make_pages(30)
    epochs = [plan_batches(pages, WHOLE, 4, draw=(0, epoch)) for epoch in range(12)]
    companies = [{frozenset(r.page for r in batch) for batch in epoch} for epoch in epochs]
    assert len(companies[0] & companies[1]) < 4
    left_out = [set(range(30)) - {r.page for b in epoch for r in b} for epoch in epochs]
    assert all(len(pages) == 2 for pages in left_out)
    assert len(set().union(*left_out)) > 8


@pytest.mark.parametrize("frame", [SQUARE, WHOLE])
def test_a_plan_follows_from_seed_and_epoch(frame: FrameSettings) -> None:
    pages = make_pages(20)
    plan = plan_batches(pages, frame, 4, draw=(0, 1))
    assert plan == plan_batches(pages, frame, 4, draw=(0, 1))
    assert plan != plan_batches(pages, frame, 4, draw=(1, 1))


@pytest.mark.parametrize("frame", [SQUARE, WHOLE])
def test_pages_come_as_often_as_they_weigh(frame: FrameSettings) -> None:
    pages = [replace(page, weight=(1.0, 0.3, 2.5)[k % 3]) for k, page in enumerate(make_pages(30))]
    assert count_batches(pages, 2) == 19
    seen = np.zeros(30)
    for epoch in range(40):
        requests = [r for batch in plan_batches(pages, frame, 2, (0, epoch)) for r in batch]
        assert len(requests) == 38
        visits = Counter(r.page for r in requests)
        numbered = {(page, visit) for page, count in visits.items() for visit in range(count)}
        assert {(r.page, r.visit) for r in requests} == numbered
        seen += [visits[k] for k in range(30)]
    means = [float(seen[kind::3].mean() / 40) for kind in range(3)]
    assert means == pytest.approx([1.0, 0.3, 2.5], rel=0.04)
