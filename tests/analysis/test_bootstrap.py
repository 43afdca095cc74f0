"""Bootstrap intervals: known widths, pairs, seeds and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receipt_ocr.analysis import bootstrap
from receipt_ocr.analysis.bootstrap import (
    PairedComparison,
    bootstrap_mean,
    bootstrap_share,
    compare_paired,
    compare_unpaired,
    leaderboard_interval,
)

scores = st.lists(st.floats(0, 1), min_size=2, max_size=30)


def test_the_interval_has_the_width_that_theory_gives() -> None:
    # Half zeros, half ones: the mean of 400 resampled pages has the standard deviation
    # sqrt(0.5 * 0.5 / 400) = 0.025, so 95 % lie within 0.5 -+ 1.96 * 0.025.
    found = bootstrap_mean([0.0, 1.0] * 200)
    assert found.mean == 0.5
    assert found.low == pytest.approx(0.451, abs=0.004)
    assert found.high == pytest.approx(0.549, abs=0.004)


def test_two_pages_give_the_ends_as_interval() -> None:
    # A resample of two pages has the mean 0.2, 0.4 or 0.6 with chances 1/4, 1/2, 1/4.
    found = bootstrap_mean([0.2, 0.6])
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))


def check_blocks(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> None:
    """Draws in blocks are those at once: numpy's generator gives the same numbers in parts."""
    at_once = ask()
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 700)
    for cached in (bootstrap._bootstrap_mean, bootstrap._foretell):
        cached.cache_clear()
    assert ask() == at_once


def test_draws_in_blocks_reach_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (np.random.default_rng(1).uniform(size=count) for count in (50, 30))
    for ask in (
        lambda: bootstrap_mean(a),
        lambda: bootstrap_share(a, np.ones(50)),
        lambda: leaderboard_interval(a, 30),
        lambda: compare_unpaired(a, b),
    ):
        check_blocks(monkeypatch, ask)


@given(scores)
@settings(max_examples=25)
def test_the_interval_lies_between_the_lowest_and_the_highest_page(values: list[float]) -> None:
    found = bootstrap_mean(values)
    assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12


def test_a_small_gain_on_every_page_is_better_however_much_pages_differ() -> None:
    b = np.random.default_rng(0).uniform(0.3, 0.9, 60)
    found = compare_paired(b + 0.01, b)
    assert found.difference == pytest.approx(0.01)
    assert (found.low, found.high) == pytest.approx((0.01, 0.01))
    assert found.pages == 60
    assert found.verdict == "better"
    assert compare_paired(b - 0.01, b).verdict == "worse"


def test_differences_that_cancel_out_cannot_be_told_apart() -> None:
    b = np.full(40, 0.5)
    a = b + np.tile([0.1, -0.1], 20)
    found = compare_paired(a, b)
    assert found.low < 0 < found.high
    assert found.verdict == "cannot be told apart"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 0.1, "cannot be told apart"),
        (-0.1, 0.0, "cannot be told apart"),
        (1e-6, 0.1, "better"),
        (-0.1, -1e-6, "worse"),
    ],
)
def test_zero_at_the_end_of_the_interval_decides_nothing(
    low: float, high: float, verdict: str
) -> None:
    assert PairedComparison((low + high) / 2, low, high, 10).verdict == verdict


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"2 or more, got shape \(0,\)"),
        ([0.5], r"2 or more, got shape \(1,\)"),
        ([[0.5, 0.5]], r"one number a page, 2 or more, got shape \(1, 2\)"),
        ([0.5, np.nan], "must be finite, got nan"),
        ([0.5, np.inf], "must be finite, got inf"),
    ],
)
def test_malformed_questions_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values)
    with pytest.raises(ValueError, match=message):
        leaderboard_interval(values, 10)
    with pytest.raises(ValueError, match=message):
        compare_unpaired(values, [0.5, 0.6])
    with pytest.raises(ValueError, match="test_pages must be 1 or more, got 0"):
        leaderboard_interval([0.5, 0.6], 0)


def test_pairs_must_be_of_the_same_pages() -> None:
    with pytest.raises(ValueError, match="same pages, got 3, 2"):
        compare_paired([0.1, 0.2, 0.3], [0.1, 0.2])


def test_equal_scores_cannot_be_told_apart() -> None:
    a = np.random.default_rng(0).uniform(size=30)
    found = compare_paired(a, a.copy())
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.verdict == "cannot be told apart"


def test_the_rounding_of_sums_is_no_difference() -> None:
    a = np.full(30, 0.1)
    mean = np.stack([a, a, a]).sum(axis=0) / 3
    assert (mean > a).all()  # by 1e-17 on every page
    assert compare_paired(mean, a).verdict == "cannot be told apart"


@pytest.mark.parametrize(("judged", "test_pages"), [(50, 20), (200, 400), (40, 1)])
def test_a_leaderboard_has_the_spread_of_both_draws(judged: int, test_pages: int) -> None:
    # Known without resampling: s^2 (1/N + (1 - 1/N) / M), and 95 % of a normal mean lie within
    # 1.96 standard deviations; single pages (M = 1) are uniform here.
    values = np.linspace(0.0, 1.0, judged)
    sd = values.std() * np.sqrt(1 / judged + (1 - 1 / judged) / test_pages)
    found = leaderboard_interval(values, test_pages)
    half = (found.high - found.low) / 2
    expected = 1.96 * sd if test_pages > 1 else 0.95 / 2  # a uniform page's own quantiles
    assert found.mean == pytest.approx(0.5)
    assert half == pytest.approx(expected, rel=0.04)


def test_more_test_pages_give_a_narrower_interval_down_to_that_of_the_mean() -> None:
    values = np.random.default_rng(2).uniform(0.5, 1.0, 80)
    widths = [
        found.high - found.low
        for found in (leaderboard_interval(values, count) for count in (5, 20, 80, 400))
    ]
    assert widths == sorted(widths, reverse=True)
    mean = bootstrap_mean(values)
    many = leaderboard_interval(values, 2000)
    assert many.high - many.low == pytest.approx(mean.high - mean.low, rel=0.1)


def test_a_share_is_that_of_the_sums_in_every_draw_of_pages() -> None:
    rng = np.random.default_rng(3)
    totals = rng.integers(1, 40, 25)
    parts = rng.binomial(totals, 0.1)
    found = bootstrap_share(parts, totals)
    assert found.mean == pytest.approx(parts.sum() / totals.sum())
    draws = np.random.default_rng(0).integers(0, 25, size=(10_000, 25))
    shares = [parts[chosen].sum() / totals[chosen].sum() for chosen in draws]
    expected = np.quantile(shares, [0.025, 0.975])
    assert [found.low, found.high] == pytest.approx(expected.tolist())


def test_pages_that_are_all_or_nothing_have_the_spread_of_pages_and_not_of_words() -> None:
    # 100 words on each of 400 pages, all missed on half of them: as 400 pages of 0 or 1.
    found = bootstrap_share([0, 100] * 200, [100] * 400)
    assert found == bootstrap_mean([0.0, 1.0] * 200)


def test_a_share_of_one_page_has_no_spread() -> None:
    assert bootstrap_share([3], [4]).low == bootstrap_share([3], [4]).high == 0.75


@pytest.mark.parametrize(
    ("parts", "totals", "message"),
    [
        ([1, 2], [3], r"one number a page each, got \(2,\), \(1,\)"),
        ([[1]], [[2]], "one number a page each"),
        ([], [], "totals sum to more than 0"),
        ([0, 0], [0, 0], "totals sum to more than 0"),
        ([np.nan, 1], [2, 2], "must be finite"),
        ([1, 1], [2, np.inf], "must be finite"),
    ],
)
def test_shares_of_nothing_are_refused(parts: list[Any], totals: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_share(parts, totals)


def test_different_pages_have_the_spread_of_both_sides() -> None:
    # Two means of uniform pages: 0.2887 * sqrt(1 / 200 + 1 / 50) = 0.0456, 95 % within 0.0894.
    a, b = np.linspace(0.0, 1.0, 200), np.linspace(0.1, 1.1, 50)
    found = compare_unpaired(a, b)
    assert found.difference == pytest.approx(-0.1)
    half = 1.96 * np.sqrt(a.var() / 200 + b.var() / 50)
    assert (found.low, found.high) == pytest.approx((-0.1 - half, -0.1 + half), abs=0.004)
    assert (found.pages, found.verdict) == (50, "worse")
    assert compare_unpaired(b, a).verdict == "better"
    assert compare_unpaired(a, b - 0.1).verdict == "cannot be told apart"


def test_two_pages_on_each_side_give_every_pair_of_draws() -> None:
    # Each side has the means 0, 0.5 and 1 with chances 1/4, 1/2, 1/4: the ends have 1/16 each.
    found = compare_unpaired([0.0, 1.0], [0.0, 1.0])
    assert (found.difference, found.low, found.high) == (0.0, -1.0, 1.0)


def test_sides_that_are_alike_are_drawn_each_for_itself() -> None:
    values = np.random.default_rng(1).uniform(size=40)
    found = compare_unpaired(values, values)
    assert found.difference == 0.0
    assert found.low < -0.05 and found.high > 0.05  # the same draws would give 0 and 0
    paired = compare_paired(values, values)
    assert (paired.low, paired.high) == (0.0, 0.0)
