"""Nodes that draw the report's pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from receipt_ocr.analysis.experiment import Experiment
else:  # Kedro reads the signatures to check parameters
    Experiment = Any

__all__ = [
    "PICTURES",
    "SEARCH_PICTURES",
    "draw_gallery",
    "draw_histories",
    "draw_scores",
    "draw_search",
    "draw_worst",
]

PICTURES = {
    "history": (
        "How the folds learnt (the axes of the scores are stretched towards 1)",
        "history.png",
    ),
    "scores": ("H-mean of every page, by member", "scores.png"),
    "worst_pages": (
        "The worst pages out of fold, each with the detections of the fold that never saw it",
        "worst_pages.jpg",
    ),
    "gallery": ("Six test pages, from the ensemble's worst to its best", "gallery.jpg"),
}
"""Name -> caption and file beside the report, as the catalog names it."""

SEARCH_PICTURES = {
    "search": (
        "H-mean out of fold over the post-processing settings that were tried",
        "search.png",
    ),
    "precision_recall": (
        "Precision and recall out of fold, as box_thresh moves",
        "precision_recall.png",
    ),
}
"""The same, of tuning."""

TILE_HEIGHT = 700
COLUMNS = 3


def draw_histories(
    histories: dict[str, pd.DataFrame | None], compared: list[Experiment]
) -> tuple[object, dict[str, bytes]]:
    """The members' scores and losses by epoch (a Matplotlib figure), and the same as a file.

    Where no member's are known the figure is empty, and there is no file.
    """
    from matplotlib.figure import Figure

    from receipt_ocr.analysis.experiment import stopped_early
    from receipt_ocr.pictures.plots import plot_histories

    known = {name: one for name, one in histories.items() if one is not None}
    if not known:
        return Figure(), {}
    trainings = compared[0].trainings if compared else {}  # the first is this experiment
    early = [name for name, record in trainings.items() if stopped_early(record)]
    return _with_file(plot_histories(known, early), "history")


def draw_scores(page_scores: pd.DataFrame) -> tuple[object, dict[str, bytes]]:
    """Every page's H-mean by member (a Matplotlib figure), and the same as a file."""
    from receipt_ocr.pictures.plots import plot_scores

    return _with_file(plot_scores(page_scores), "scores")


def draw_search(
    tuned: dict[str, Any] | None, tuning_table: pd.DataFrame | None
) -> dict[str, bytes]:
    """The pictures of tuning as files; none where it has not run."""
    from receipt_ocr.pictures.plots import encode_png
    from receipt_ocr.pictures.search_plots import plot_precision_recall, plot_search

    if tuned is None or tuning_table is None:
        return {}
    best = tuned["postprocess"]
    figures = {
        "search": plot_search(tuning_table, best, tuned.get("plateau")),
        "precision_recall": plot_precision_recall(tuning_table, best),
    }
    return {SEARCH_PICTURES[name][1]: encode_png(figure) for name, figure in figures.items()}


def _with_file(figure: Any, name: str) -> tuple[object, dict[str, bytes]]:
    from receipt_ocr.pictures.plots import encode_png

    return figure, {PICTURES[name][1]: encode_png(figure)}


def draw_gallery(
    detections: dict[str, list[list[float]]],
    pages: pd.DataFrame,
    words: pd.DataFrame,
    page_scores: pd.DataFrame,
    raw_receipts: Path,
) -> tuple[object, dict[str, bytes]]:
    """Test pages from the ensemble's worst to its best, with truth and detections (a picture)."""
    from PIL import Image

    from receipt_ocr.analysis.tables import choose_pages
    from receipt_ocr.pictures.gallery import contact_sheet, encode_jpeg

    test = {row.page: row for row in pages[pages["subset"] == "test"].itertuples()}
    own = words[words["subset"] == "test"]
    names = choose_pages(page_scores, pages)
    tiles = [
        _draw_tile(
            raw_receipts / str(test[name].path),
            own[own["page"] == name] if test[name].has_truth else None,
            detections[name],
        )
        for name in names
    ]
    sheet = contact_sheet(tiles, names, COLUMNS)
    return Image.fromarray(sheet), {PICTURES["gallery"][1]: encode_jpeg(sheet)}


def draw_worst(
    worst: dict[str, dict[str, list[list[float]]]] | None,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
) -> tuple[object, dict[str, bytes]]:
    """The worst out-of-fold pages with truth and detections; an empty picture without any."""
    from PIL import Image

    from receipt_ocr.pictures.gallery import contact_sheet, encode_jpeg

    found = (worst or {}).get("out_of_fold", {})
    if not found:
        return Image.new("RGB", (64, 64), "white"), {}
    own = words[words["subset"] == "train"]
    paths = pages[pages["subset"] == "train"].set_index("page")["path"].to_dict()
    tiles = [
        _draw_tile(raw_receipts / str(paths[page]), own[own["page"] == page], polygons)
        for page, polygons in found.items()
    ]
    sheet = contact_sheet(tiles, list(found), COLUMNS)
    return Image.fromarray(sheet), {PICTURES["worst_pages"][1]: encode_jpeg(sheet)}


def _draw_tile(path: Path, words: pd.DataFrame | None, detections: list[list[float]]) -> Any:
    """One page; without words (truth withheld) its detections only."""
    from receipt_ocr.evaluation.cleval import score_page
    from receipt_ocr.geometry.polygons import as_polygon
    from receipt_ocr.pictures.gallery import draw_page
    from receipt_ocr.receipts.images import read_upright

    found = [as_polygon(flat) for flat in detections]
    if words is None:
        return draw_page(read_upright(path), [], found, height=TILE_HEIGHT)
    truth = [as_polygon(flat) for flat in words["polygon"]]
    score = score_page(truth, found, ignored=words["ignored"].astype(bool).tolist())
    return draw_page(read_upright(path), truth, found, score, height=TILE_HEIGHT)
