"""What the pictures show: lines, marks and numbers; how they look is for the eye."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.evaluation.cleval import PageScore
from receipt_ocr.pictures.plots import plot_histories, plot_scores


def history(hmeans: list[float], sizes: list[float]) -> pd.DataFrame:
    epochs = np.arange(len(hmeans), dtype=float)
    return pd.DataFrame(
        {"epoch": epochs, "hmean": hmeans, "precision": hmeans, "recall": hmeans, "size": sizes}
    ).assign(loss=3.0 - epochs / 10)


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def render(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), dpi=20)


def test_every_fold_has_its_curve_and_its_best_epoch() -> None:
    figure = plot_histories(
        {
            "fold_0": history([0.0, 0.9, 0.8], [640.0, 640.0, 960.0]),
            "fold_3": history([0.2, 0.3], [640.0, 640.0]),
        }
    )
    render(figure)
    lines = panel(figure, "H-mean").get_lines()
    curves = {line.get_label(): list(line.get_ydata()) for line in lines}
    assert curves["fold_0"] == [0.0, 0.9, 0.8]
    assert curves["fold_3"] == [0.2, 0.3]
    stars = [line for line in lines if line.get_marker() == "*" and len(line.get_xdata())]
    assert [(float(s.get_xdata()[0]), float(s.get_ydata()[0])) for s in stars] == [
        (1.0, 0.9),
        (1.0, 0.3),
    ]
    assert len({line.get_color() for line in stars}) == 2
    assert panel(figure, "loss").get_lines()[0].get_ydata().tolist() == [3.0, 2.9, 2.8]


def test_early_stopping_is_marked_where_the_training_ended() -> None:
    histories = {
        "fold_0": history([0.1, 0.9, 0.8], [640.0] * 3),
        "fold_1": history([0.1, 0.5], [640.0] * 2),
    }
    for early, ends in (([], []), (["fold_0"], [(2.0, 0.8)])):
        figure = plot_histories(histories, early)
        lines = panel(figure, "H-mean").get_lines()
        crosses = [line for line in lines if line.get_marker() == "X" and len(line.get_xdata())]
        found = [(float(c.get_xdata()[0]), float(c.get_ydata()[0])) for c in crosses]
        assert found == ends
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert ("early stopping" in texts) == bool(ends)


def test_a_change_of_size_is_marked_before_its_first_epoch() -> None:
    figure = plot_histories({"fold_0": history([0.1, 0.9, 0.8], [640.0, 640.0, 960.0])})
    for title in ("H-mean", "precision", "recall", "loss"):
        axes = panel(figure, title)
        dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert [float(line.get_xdata()[0]) for line in dashed] == [1.5]
        assert [text.get_text() for text in axes.texts] == ["960 px"]


def test_a_single_epoch_without_a_hit_can_be_drawn() -> None:
    figure = plot_histories({"fold_0": history([0.0], [640.0])})
    render(figure)
    low, high = panel(figure, "H-mean").get_ylim()
    assert low < 0.0
    assert high > 1.0


def test_a_picture_needs_something_to_show() -> None:
    with pytest.raises(ValueError, match="one fold or more, got none"):
        plot_histories({})
    with pytest.raises(ValueError, match="one scored page or more, got none"):
        plot_scores(tabulate_pages("fold_0", "test", {}))


def rows(member: str, subset: str, *found: int) -> pd.DataFrame:
    pages = {f"p{i}": PageScore(100, 100, count, 0, 0, 0) for i, count in enumerate(found)}
    return tabulate_pages(member, subset, pages)


def test_every_member_has_a_row_with_its_mean_and_the_ensemble_is_on_top() -> None:
    figure = plot_scores(
        pd.concat(
            [
                rows("fold_0", "out_of_fold", 10, 20),
                rows("fold_0", "test", 90, 80),
                rows("fold_1", "test", 70, 90),
                rows("ensemble", "test", 90, 96),
            ]
        )
    )
    render(figure)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "fold_1",
        "fold_0",
        "ensemble",
    ]
    assert [text.get_text() for text in axes.texts] == [
        "mean 0.8000\n2 pages",
        "mean 0.8500\n2 pages",
        "mean 0.9300\n2 pages",
    ]
    assert "every test page" in axes.get_title()


def test_without_test_truth_other_pages_are_drawn() -> None:
    out_of_fold = rows("fold_0", "out_of_fold", 90, 80)
    holdout = [rows(member, "holdout", 90) for member in ("fold_0", "ensemble")]
    assert "holdout" in plot_scores(pd.concat([out_of_fold, *holdout])).axes[0].get_title()
    assert "out-of-fold" in plot_scores(out_of_fold).axes[0].get_title()
