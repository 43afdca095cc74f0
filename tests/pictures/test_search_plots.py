"""What the pictures of a search show; how they look is for the eye."""

import io
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from receipt_ocr.pictures.search_plots import (
    ColourScale,
    best_of_plane,
    chosen_point,
    grid_points,
    plot_precision_recall,
    plot_search,
    score_window,
    trace_curves,
)

THRESH, BOX, RATIO, SIZE = (0.2, 0.3, 0.5), (0.3, 0.5, 0.6, 0.7), (1.5, 2.0), (3.0, 5.0)
BEST: dict[str, Any] = {
    "thresh": 0.3,
    "box_thresh": 0.5,
    "unclip_ratio": 2.0,
    "max_candidates": 600,
    "min_size": 5.0,
    "shape": "polygon",
    "candidate_order": "score",
}
SENSITIVITY = {
    "thresh": {"lowest": 0.25, "highest": 0.34, "is_open_below": False, "is_open_above": False},
    "min_size": {"lowest": 0.0, "highest": 15.0, "is_open_below": True, "is_open_above": True},
    "max_candidates": {
        "lowest": 600, "highest": 600, "is_open_below": False, "is_open_above": False
    },
}  # fmt: skip


def hmean_at(thresh: float, box: float, ratio: float, size: float) -> float:
    """Highest at the best settings."""
    away = abs(thresh - 0.3) + abs(box - 0.5) / 10 + abs(ratio - 2.0) / 5 + abs(size - 5) / 100
    return 0.9 - away


def table(*axes: tuple[float, ...]) -> pd.DataFrame:
    rows = []
    for thresh, box, ratio, size in product(*(axes or (THRESH, BOX, RATIO, SIZE))):
        hmean = hmean_at(thresh, box, ratio, size)
        rows.append(
            {"thresh": thresh, "box_thresh": box, "unclip_ratio": ratio, "max_candidates": 600,
             "min_size": size, "recall": hmean + 0.05 - box / 10,
             "precision": hmean - 0.05 + box / 10, "hmean": hmean}
        )  # fmt: skip
    return pd.DataFrame(rows)


def refined() -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table with two trials below, of which the second is the best."""
    best = {**BEST, "thresh": 0.3157, "unclip_ratio": 1.9}
    trial = {**table().iloc[0].to_dict(), "trial": 0}
    better = {**{name: best[name] for name in list(best)[:5]}, "trial": 1,
              "recall": 0.98, "precision": 0.97, "hmean": 0.975}  # fmt: skip
    return pd.concat([table(), pd.DataFrame([trial, better])], ignore_index=True), best


def render(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), dpi=20)


def all_axes(figure: Figure) -> dict[str, Axes]:
    titled = [(axes.get_title() or axes.get_title(loc="left"), axes) for axes in figure.axes]
    return {title.split(":")[0]: axes for title, axes in titled}


def stars(axes: Axes) -> list[tuple[float, float]]:
    lines = [line for line in axes.get_lines() if line.get_marker() == "*"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_a_cell_shows_the_best_over_the_other_settings() -> None:
    points = table().iloc[1:]  # one cell of the grid lacks its first point
    heat = best_of_plane(grid_points(points, BEST), "thresh", "box_thresh")
    assert (heat.columns.tolist(), heat.index.tolist()) == (list(THRESH), list(BOX))
    expected = [[hmean_at(thresh, box, 2.0, 5.0) for thresh in THRESH] for box in BOX]
    np.testing.assert_allclose(heat, expected, rtol=0, atol=1e-12)
    diagonal = grid_points(table((0.2,), (0.3,), (2.0,), (5.0,)), BEST)
    diagonal = pd.concat([diagonal, diagonal + 0.1])
    cells = best_of_plane(diagonal, "thresh", "box_thresh").to_numpy()
    assert np.isnan(cells).tolist() == [[False, True], [True, False]]


def test_colours_part_a_thousandth_near_the_best() -> None:
    scale = ColourScale.over(pd.Series([0.9, 0.97, 0.98]))
    assert (scale.top, scale.end, scale.is_cut) == (0.98, 0.05, True)
    steps = scale.place(np.array([0.98, 0.979, 0.93, 0.5, np.nan]))
    assert steps[0] == 1.0
    assert steps[1] < 0.9
    assert steps[2] == pytest.approx(0.0, abs=1e-12)
    assert steps[3] == 0.0
    assert np.isnan(steps[4])
    assert scale.ticks()[1][-1] == "≤ 0.9300"
    close = ColourScale.over(pd.Series([0.98, 0.98]))
    assert (close.end, close.is_cut) == (0.005, False)
    assert close.ticks()[1][-1] == "0.9750"


def test_heat_maps_have_numbers_a_star_and_how_far_each_setting_may_move() -> None:
    figure = plot_search(table(), BEST, SENSITIVITY)
    render(figure)
    panels = all_axes(figure)
    heat = panels["thresh x box_thresh, best over the others"]
    assert len(heat.texts) == len(THRESH) * len(BOX)
    assert heat.texts[0].get_text() == f"{hmean_at(0.2, 0.3, 2.0, 5.0):.4f}"
    assert [label.get_text() for label in heat.get_xticklabels()] == ["0.2", "0.3", "0.5"]
    assert stars(heat) == [(1.5, 1.5)]
    assert stars(panels["thresh x unclip_ratio, best over the others"]) == [(1.5, 1.5)]
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")] == [
        "thresh: from 0.25, to 0.34",
        "max_candidates: from 600, to 600",
        "min_size: no fall down to 0, no fall up to 15",
    ]
    assert stars(panels["thresh"]) == [(0.3, 0.0)]


def test_many_values_leave_the_numbers_out() -> None:
    points = table(tuple(np.linspace(0.1, 0.9, 12).tolist()), BOX, RATIO, SIZE)
    figure = plot_search(points, BEST)
    render(figure)
    panels = all_axes(figure)
    assert not panels["thresh x box_thresh, best over the others"].texts
    assert not {"thresh", "min_size"} & set(panels)


def test_a_curve_a_thresh_at_the_values_nearest_to_the_best() -> None:
    best = {**BEST, "thresh": 0.34, "unclip_ratio": 1.9}
    curves = trace_curves(grid_points(table(), best), best)
    assert [(curve.thresh, curve.is_best) for curve in curves] == [
        (0.2, False),
        (0.3, True),
        (0.5, False),
    ]
    for curve in curves:
        assert curve.points["box_thresh"].tolist() == list(BOX)
        assert set(curve.points["unclip_ratio"]) == {2.0}
        assert set(curve.points["min_size"]) == {5.0}


def test_recall_and_precision_are_drawn_with_the_best() -> None:
    figure = plot_precision_recall(table(), BEST)
    render(figure)
    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    own = hmean_at(0.3, 0.5, 2.0, 5.0)
    assert lines["thresh 0.3"].get_xdata()[1] == pytest.approx(own)
    assert lines["thresh 0.3"].get_linewidth() > lines["thresh 0.2"].get_linewidth()
    assert stars(axes) == [(pytest.approx(own), pytest.approx(own))]
    assert "best: H-mean 0.9000" in lines
    assert {"box_thresh 0.3", "box_thresh 0.7"} <= {text.get_text() for text in axes.texts}


def test_a_refined_best_is_starred_but_its_trials_are_not_drawn_as_the_grid() -> None:
    points, best = refined()
    assert chosen_point(points, best)["hmean"].tolist() == [0.975]
    assert len(grid_points(points, best)) == len(table())
    figure = plot_precision_recall(points, best)
    render(figure)
    (axes,) = figure.axes
    assert stars(axes) == [(0.98, 0.97)]
    assert axes.get_xlim()[1] > 0.98
    heat = all_axes(plot_search(points, best))
    assert stars(heat["thresh x unclip_ratio, best over the others"])[0] == pytest.approx(
        (1.5785, 1.3)  # a share of the way from 0.3 to 0.5, and from 1.5 to 2
    )
    assert [label.get_text() for label in heat["thresh x box_thresh, best over the others"]
            .get_xticklabels()] == ["0.2", "0.3", "0.5"]  # fmt: skip
    # Settings that the table lacks: the grid's best on the curve.
    assert chosen_point(table(), best)["hmean"].tolist() == [pytest.approx(0.9)]


@pytest.mark.parametrize("axes", [((0.3,), (0.5,), (2.0,), (5.0,)), ((0.3,), BOX, (2.0,), (5.0,))])
def test_axes_of_one_value_can_be_drawn(axes: tuple[tuple[float, ...], ...]) -> None:
    points = table(*axes)
    render(plot_search(points, BEST, SENSITIVITY))
    render(plot_precision_recall(points, BEST))


def test_a_search_that_finds_nothing_can_be_drawn() -> None:
    points = table().assign(recall=0.0, precision=0.0, hmean=0.0)
    render(plot_search(points, BEST))
    render(plot_precision_recall(points, BEST))
    assert score_window(points) == ((-0.002, 0.002), (-0.002, 0.002))


@pytest.mark.parametrize("draw", [plot_search, plot_precision_recall])
def test_tables_that_are_no_search_are_refused(draw: Callable[..., Figure]) -> None:
    with pytest.raises(ValueError, match="one point or more, got none"):
        draw(table().iloc[:0], BEST)
    with pytest.raises(ValueError, match=r"lack the columns \['box_thresh', 'recall'\]"):
        draw(table().drop(columns=["box_thresh", "recall"]), BEST)
    with pytest.raises(ValueError, match=r"best settings .* lack \['min_size'\]"):
        draw(table(), {k: v for k, v in BEST.items() if k != "min_size"})
