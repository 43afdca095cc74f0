"""The training targets of any page against the definition, pixel by pixel."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from receipt_ocr.geometry.polygons import Polygon
from receipt_ocr.receipts.targets import Targets, TargetSettings, render_targets
from tests.masks import fill_polygons
from tests.polygon_strategies import band, soup, soup_polygons

HEIGHT, WIDTH = 140, 180
MAPS = [field.name for field in fields(Targets)]


def make_settings(ratio: float, range_: list[float], min_height: float = 3.0) -> TargetSettings:
    low, high = range_
    return TargetSettings(
        shrink_ratio=ratio, threshold_low=low, threshold_high=high, min_height=min_height
    )


ranges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
# Offsets of 1 pixel and more on the words below, and something left of each after shrinking.
clean_settings = st.builds(make_settings, st.floats(0.4, 0.7), ranges)
wild_settings = st.builds(
    make_settings,
    st.sampled_from([0.0, 0.1, 0.4, 0.95, 1.0]) | st.floats(0, 1),
    ranges,
    st.sampled_from([0.0, 3.0, 10.0]),
)


@st.composite
def clean_words(draw: st.DrawFn, *, max_size: int = 4, is_inside: bool = True) -> list[Polygon]:
    """Words of 8 pixels or more, upright, slanted or bent, that may overlap."""
    # Inside, a grown word is inside too: OpenCV shifts the edges of a polygon that leaves the
    # frame by up to a pixel, and may fill the frame's first column beside it.
    reach = 62 if is_inside else 0
    words = []
    for _ in range(draw(st.integers(1, max_size))):
        height = draw(st.integers(8, 40))
        length, degrees = draw(st.integers(max(height, 30), 80)), draw(st.integers(0, 359))
        degrees *= draw(st.integers(0, 1))
        points = draw(st.sampled_from([4, 4, 8, 15, 24]))
        bend = height / 6 if points > 4 else 0.0
        word = band(length, height, degrees, (points // 2, points - points // 2), bend)
        x, y = (draw(st.integers(reach, side - reach)) for side in (WIDTH, HEIGHT))
        words.append(word + np.array([x, y]))
    return words


@st.composite
def flagged(draw: st.DrawFn, words: st.SearchStrategy[list[Polygon]]) -> list[tuple[Polygon, bool]]:
    """Words, each with whether it is don't care."""
    return [(word, draw(st.integers(0, 3)) == 0) for word in draw(words)]


@st.composite
def mixed_words(draw: st.DrawFn) -> list[tuple[Polygon, bool]]:
    """Words and soup, in and out of the frame."""
    words = draw(clean_words(max_size=3, is_inside=False))
    return draw(flagged(st.just([*draw(soup(min_points=1, max_size=4)), *words])))


def render(words: list[tuple[Polygon, bool]], chosen: TargetSettings) -> Targets:
    polygons, flags = [word for word, _ in words], [flag for _, flag in words]
    return render_targets(polygons, HEIGHT, WIDTH, chosen, ignored=flags)


def fill(*words: Polygon) -> NDArray[np.bool_]:
    return fill_polygons(words, HEIGHT, WIDTH) > 0


def offset_of(word: Polygon, shrink_ratio: float) -> float:
    """``area * (1 - shrink_ratio^2) / perimeter``, by the shoelace formula."""
    following = np.roll(word, -1, axis=0)
    twice = word[:, 0] @ following[:, 1] - word[:, 1] @ following[:, 0]
    edges = following - word
    return float(abs(twice) / 2 * (1 - shrink_ratio**2) / np.hypot(*edges.T).sum())


def outline_distance(word: Polygon) -> NDArray[np.float64]:
    """Distance of every pixel to an outline, as the method defines it.

    To an edge it is the perpendicular where the pixel sees the edge under 90 degrees or more,
    else the way to the nearer end. On whole pixels the squares are exact.
    """
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for (ax, ay), (bx, by) in zip(word, np.roll(word, -1, axis=0), strict=True):
        to_a, to_b = (columns - ax) ** 2 + (rows - ay) ** 2, (columns - bx) ** 2 + (rows - by) ** 2
        squared = (bx - ax) ** 2 + (by - ay) ** 2
        if squared == 0:
            continue
        across = np.abs((bx - ax) * (rows - ay) - (by - ay) * (columns - ax)) / np.sqrt(squared)
        way = np.where(to_a + to_b <= squared, across, np.sqrt(np.minimum(to_a, to_b)))
        nearest = np.minimum(nearest, way)
    return nearest


def window(word: Polygon, margin: float) -> NDArray[np.bool_]:
    """The pixels of a word's bounding box grown by a margin."""
    pixels = np.stack(np.mgrid[:HEIGHT, :WIDTH][::-1], axis=-1)
    inside = (pixels >= word.min(axis=0) - margin) & (pixels <= word.max(axis=0) + margin)
    return inside.all(axis=-1)


def assert_valid(targets: Targets, chosen: TargetSettings) -> None:
    for name in MAPS:
        values = getattr(targets, name)
        assert values.dtype == np.float32, name
        assert values.shape == (HEIGHT, WIDTH), name
        assert np.isfinite(values).all(), name
        if name != "threshold_map":
            assert np.isin(values, (0, 1)).all(), name
    assert targets.threshold_map.min() >= chosen.threshold_low - 1e-6
    assert targets.threshold_map.max() <= chosen.threshold_high + 1e-6


def assert_same(first: Targets, second: Targets, names: list[str]) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


class TestCleanWords:
    @settings(max_examples=40, deadline=None)
    @given(clean_words(), clean_settings)
    def test_the_kernels_lie_in_the_words_and_every_word_has_one(
        self, words: list[Polygon], chosen: TargetSettings
    ) -> None:
        targets = render_targets(words, HEIGHT, WIDTH, chosen)
        assert_valid(targets, chosen)
        assert targets.shrink_mask.all()  # no word was masked
        kernels, allowed = targets.shrink_map > 0, np.zeros((HEIGHT, WIDTH), dtype=bool)
        for word in words:
            inside, distance = fill(word), outline_distance(word)
            offset = offset_of(word, chosen.shrink_ratio)
            # Kernels are on whole pixels. The distance of the definition is up to sqrt(2) times
            # the true one, where the way to an edge's end takes the place of the perpendicular.
            assert kernels[inside & (distance > 1.5 * offset + 2)].all()
            allowed |= inside & (distance > offset - 2)
        assert not kernels[~allowed].any()

    @settings(max_examples=40, deadline=None)
    @given(clean_words(is_inside=False), clean_settings)
    def test_the_threshold_falls_from_the_outline_to_the_offset(
        self, words: list[Polygon], chosen: TargetSettings
    ) -> None:
        drawn = render_targets(words, HEIGHT, WIDTH, chosen).threshold_map
        low, high = chosen.threshold_low, chosen.threshold_high
        at_least = at_most = np.full((HEIGHT, WIDTH), low)
        for word in words:
            offset = offset_of(word, chosen.shrink_ratio)
            slope = low + (high - low) * (1 - outline_distance(word) / offset).clip(0)
            # It ends with the bounding box of the grown word, which is on whole pixels.
            at_least = np.maximum(at_least, np.where(window(word, offset - 1), slope, low))
            at_most = np.maximum(at_most, np.where(window(word, offset + 1), slope, low))
        assert (drawn >= at_least - 1e-4).all()
        assert (drawn <= at_most + 1e-4).all()
        for column, row in np.concatenate(words).astype(int):
            if 0 <= row < HEIGHT and 0 <= column < WIDTH:
                assert drawn[row, column] == pytest.approx(high, abs=1e-5)

    @settings(max_examples=40, deadline=None)
    @given(clean_words(), clean_settings)
    def test_the_threshold_counts_on_the_words_and_around_them(
        self, words: list[Polygon], chosen: TargetSettings
    ) -> None:
        mask = render_targets(words, HEIGHT, WIDTH, chosen).threshold_mask > 0
        assert mask[fill(*words)].all()
        near = fill(*words)
        for word in words:
            offset, distance = offset_of(word, chosen.shrink_ratio), outline_distance(word)
            assert mask[distance < offset - 1].all()
            near |= distance < 1.5 * offset + 2  # the way to an end may be longer than the offset
        assert not mask[~near].any()

    @settings(max_examples=30, deadline=None)
    @given(clean_words(), soup(min_points=1))
    def test_masked_polygons_hide_what_no_word_covers(
        self, words: list[Polygon], masked: list[Polygon]
    ) -> None:
        flags = [False] * len(words) + [True] * len(masked)
        targets = render_targets([*words, *masked], HEIGHT, WIDTH, ignored=flags)
        hidden = fill(*(np.trunc(polygon) for polygon in masked)) & ~fill(*words)
        np.testing.assert_array_equal(targets.shrink_mask == 0, hidden)


class TestAnyPolygons:
    @settings(max_examples=60, deadline=None)
    @given(flagged(soup()), wild_settings)
    def test_polygons_are_drawn_or_refused_by_name(
        self, words: list[tuple[Polygon, bool]], chosen: TargetSettings
    ) -> None:
        empty = [index for index, (word, _) in enumerate(words) if not len(word)]
        if empty:
            with pytest.raises(ValueError, match=rf"polygon {empty[0]} must "):
                render(words, chosen)
        assert_valid(render([pair for pair in words if len(pair[0])], chosen), chosen)

    @settings(max_examples=30, deadline=None)
    @given(soup(min_points=1), soup_polygons(min_points=1), st.data())
    def test_a_number_that_is_not_finite_is_refused_by_name(
        self, words: list[Polygon], broken: Polygon, data: st.DataObject
    ) -> None:
        row, column = data.draw(st.integers(0, len(broken) - 1)), data.draw(st.integers(0, 1))
        broken[row, column] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        place = data.draw(st.integers(0, len(words)))
        with pytest.raises(ValueError, match=rf"polygon {place} must .*finite"):
            render_targets([*words[:place], broken, *words[place:]], HEIGHT, WIDTH)

    @settings(max_examples=40, deadline=None)
    @given(mixed_words(), wild_settings, st.randoms(use_true_random=False))
    def test_the_order_changes_nothing(
        self, words: list[tuple[Polygon, bool]], chosen: TargetSettings, random: object
    ) -> None:
        shuffled = list(words)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert_same(render(shuffled, chosen), render(words, chosen), MAPS)

    @settings(max_examples=40, deadline=None)
    @given(mixed_words(), soup_polygons(min_points=1), wild_settings, st.data())
    def test_a_dont_care_polygon_changes_nothing_but_what_counts_under_it(
        self,
        words: list[tuple[Polygon, bool]],
        masked: Polygon,
        chosen: TargetSettings,
        data: st.DataObject,
    ) -> None:
        place = data.draw(st.integers(0, len(words)))
        before = render(words, chosen)
        after = render([*words[:place], (masked, True), *words[place:]], chosen)
        assert_same(after, before, [name for name in MAPS if name != "shrink_mask"])
        under = fill(np.trunc(masked))
        np.testing.assert_array_equal(after.shrink_mask[~under], before.shrink_mask[~under])
        assert (after.shrink_mask <= before.shrink_mask).all()
        no_word = render([(masked, True)], chosen)
        np.testing.assert_array_equal(no_word.shrink_mask == 0, under)
