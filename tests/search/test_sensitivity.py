"""Plateaus against plain scores, step by step."""

from functools import partial

import numpy as np
import pytest

from receipt_ocr.decoding.maps import LoadMap, ProbabilityMap
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, prepare_truth
from receipt_ocr.search import sensitivity as plateau
from receipt_ocr.search.grid import search_grid
from receipt_ocr.search.sensitivity import find_plateau
from receipt_ocr.search.settings import GridSettings

BEST = PostprocessSettings(thresh=0.3, box_thresh=0.4, max_candidates=8, min_size=3.0)


def drawn(levels: list[float], smear: float) -> tuple[ProbabilityMap, TruthWords]:
    """Words of different probabilities, and a smear without a word."""
    values = np.zeros((220, 200), dtype=np.float32)
    words = []
    for line, level in enumerate(levels):
        top = 8 + 32 * line
        values[top + 5 : top + 13, 15:95] = level
        words.append([[10, top], [100, top], [100, top + 18], [10, top + 18]])
    values[13:21, 130:180] = smear
    return ProbabilityMap.from_probability(values, np.eye(3), 200, 220), prepare_truth(words)


@pytest.fixture(scope="module")
def maps() -> dict[str, LoadMap]:
    return {name: partial(lambda m: m, page[0]) for name, page in PAGES.items()}


PAGES = {
    "a": drawn([0.5, 0.6, 0.7, 0.8, 0.9, 0.55], 0.35),
    "b": drawn([0.45, 0.9, 0.9, 0.9, 0.9, 0.9], 0.2),
}
TRUTHS = {name: truth for name, (_, truth) in PAGES.items()}


def test_a_plateau_ends_before_the_first_value_at_which_the_score_falls(
    maps: dict[str, LoadMap],
) -> None:
    found = find_plateau(maps, TRUTHS, BEST, GridSettings())
    assert list(found) == ["thresh", "box_thresh", "unclip_ratio", "max_candidates", "min_size"]
    steps = {"thresh": 0.02, "box_thresh": 0.02, "unclip_ratio": 0.05, "max_candidates": 1}
    for name, own in found.items():
        step = steps.get(name, 1.0)
        best = getattr(BEST, name)
        values = [round(best + k * step, 9) for k in range(-10, 11)]
        lowest = {"max_candidates": 1, "unclip_ratio": 0.05}.get(name, 0.0)
        values = [value for value in values if value >= lowest]
        one = {key: (getattr(BEST, key),) for key in found}
        grid = GridSettings.model_validate({**one, name: tuple(values)})
        hmeans = {row[name]: row["hmean"] for row in search_grid(maps, TRUTHS, grid, BEST).rows}
        assert own.hmean == hmeans[best]
        is_fine = {value: hmean >= own.hmean - 0.0005 for value, hmean in hmeans.items()}
        below = [value for value in values if value < best and not is_fine[value]]
        above = [value for value in values if value > best and not is_fine[value]]
        assert own.is_open_below == (not below), name
        assert own.is_open_above == (not above), name
        after = [value for value in values if value > max(below, default=-1)]
        until = [value for value in values if value < min(above, default=1e9)]
        assert (own.lowest, own.highest) == (min(after), max(until)), name
    # By hand: at 0.45 and more a word of the second page is lost, under 0.36 the first page's
    # smear is found; the narrowest words are 18 high and stay at any size that is tried.
    assert (found["box_thresh"].lowest, found["box_thresh"].highest) == (0.36, 0.44)
    assert not found["box_thresh"].is_open_above
    assert found["max_candidates"].lowest == 6.0
    assert found["max_candidates"].is_open_above
    assert (found["min_size"].lowest, found["min_size"].is_open_below) == (0.0, True)
    assert (found["min_size"].highest, found["min_size"].is_open_above) == (13.0, True)


def test_a_greater_drop_makes_a_wider_plateau(maps: dict[str, LoadMap]) -> None:
    narrow = find_plateau(maps, TRUTHS, BEST, GridSettings())["box_thresh"]
    wide = find_plateau(maps, TRUTHS, BEST, GridSettings(), drop=0.06)["box_thresh"]
    assert wide.lowest < narrow.lowest
    assert wide.highest > narrow.highest


def test_dear_settings_are_not_tried_beyond_a_fall(
    maps: dict[str, LoadMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[plateau.Point] = []
    original = plateau.score_page

    def watch(*args: object, points: list[plateau.Point], base: PostprocessSettings) -> object:
        tried.extend(points)
        return original(*args, points=points, base=base)  # type: ignore[arg-type]

    monkeypatch.setattr(plateau, "score_page", watch)
    start = BEST.model_copy(update={"thresh": 0.44, "box_thresh": 0.0})
    find_plateau({"b": maps["b"]}, {"b": TRUTHS["b"]}, start, GridSettings())
    threshes = {point.thresh for point in tried} - {0.44}
    assert max(threshes) == 0.48  # at 0.46 a word is gone
    assert min(threshes) == 0.24
    assert len(tried) == len(set(tried))


def test_a_plateau_needs_the_same_pages(maps: dict[str, LoadMap]) -> None:
    with pytest.raises(ValueError, match=r"maps and truths .* \['b'\]"):
        find_plateau(maps, {"a": TRUTHS["a"]}, BEST, GridSettings())
