"""How far settings may move, against plain scores, step by step."""

import pytest

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.search import score_table
from receipt_ocr.search.page_scoring import Point
from receipt_ocr.search.score_table import ScoreTable
from receipt_ocr.search.sensitivity import measure_sensitivity
from tests.search.pages import even_page, open_table, score_plainly

BEST = PostprocessSettings(thresh=0.3, box_thresh=0.4, max_candidates=8, min_size=3.0)
PAGES = {
    "a": even_page([0.5, 0.6, 0.7, 0.8, 0.9, 0.55], {0: 0.35}),
    "b": even_page([0.45, 0.9, 0.9, 0.9, 0.9, 0.9], {0: 0.2}),
}


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return open_table(PAGES, BEST)


def test_a_setting_may_move_up_to_the_first_value_at_which_the_score_falls(
    table: ScoreTable,
) -> None:
    found = measure_sensitivity(table, BEST)
    assert list(found) == ["thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size"]
    steps = {"thresh": 0.02, "box_thresh": 0.02, "unclip_ratio": 0.05}
    lowest = {"max_candidates": 1, "unclip_ratio": 0.05}
    for name, own in found.items():
        best, step = getattr(BEST, name), steps.get(name, 1)
        values = [round(best + k * step, 9) for k in range(-10, 11)]
        values = [value for value in values if value >= lowest.get(name, 0.0)]
        hmeans = {}
        for value in values:
            settings = BEST.model_copy(update={name: value})
            hmeans[value] = sum(score_plainly(page, settings).hmean for page in PAGES.values()) / 2
        assert own.hmean == pytest.approx(hmeans[best], abs=1e-12)
        fallen = [value for value, hmean in hmeans.items() if hmean < own.hmean - 0.0005]
        below = max((value for value in fallen if value < best), default=None)
        above = min((value for value in fallen if value > best), default=None)
        assert (own.is_open_below, own.is_open_above) == (below is None, above is None), name
        assert own.lowest == min(v for v in values if below is None or v > below), name
        assert own.highest == max(v for v in values if above is None or v < above), name
    # By hand: at 0.45 and more a word of the second page is lost, under 0.36 the first page's
    # smear is found; the narrowest words are 18 high and stay at any size that is tried.
    assert (found["box_thresh"].lowest, found["box_thresh"].highest) == (0.36, 0.44)
    assert not found["box_thresh"].is_open_above
    assert found["max_candidates"].lowest == 6.0
    assert found["max_candidates"].is_open_above
    assert (found["min_size"].lowest, found["min_size"].is_open_below) == (0.0, True)
    assert (found["min_size"].highest, found["min_size"].is_open_above) == (13.0, True)


def test_a_greater_drop_lets_settings_move_farther(table: ScoreTable) -> None:
    narrow = measure_sensitivity(table, BEST)["box_thresh"]
    wide = measure_sensitivity(table, BEST, drop=0.06)["box_thresh"]
    assert wide.lowest < narrow.lowest
    assert wide.highest > narrow.highest


def test_expensive_settings_are_not_tried_beyond_a_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Point] = []
    original = score_table.score_page

    def watch(*args: object, base: PostprocessSettings) -> object:
        tried.extend(args[2])  # type: ignore[call-overload]
        return original(*args, base=base)  # type: ignore[arg-type]

    monkeypatch.setattr(score_table, "score_page", watch)
    start = BEST.model_copy(update={"thresh": 0.44, "box_thresh": 0.0})
    measure_sensitivity(open_table({"b": PAGES["b"]}, start), start)
    threshes = {point.thresh for point in tried} - {0.44}
    assert max(threshes) == 0.48  # at 0.46 a word is gone
    assert min(threshes) == 0.24
    assert len(tried) == len(set(tried))
