"""Nodes that draw the report's pictures, each for its catalog entry and for the HTML page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from receipt_ocr.analysis.experiment import Experiment, stopped_early
from receipt_ocr.analysis.results import Results

PICTURES = {
    "history": "history.png",
    "scores": "scores.png",
    "worst_pages": "worst_pages.jpg",
    "gallery": "gallery.jpg",
    "search": "search.png",
    "precision_recall": "precision_recall.png",
}
"""Name -> file beside the report, as the catalog names it."""

TILE_HEIGHT = 700
COLUMNS = 3

Files = dict[str, bytes]
Detections = Mapping[str, list[list[float]]]


def name_pictures(results: Results, worst: dict[str, Any] | None) -> dict[str, str]:
    """Name -> file of the pictures that the other functions draw from the same inputs."""
    absent = set()
    if all(history is None for history in results.histories.values()):
        absent |= {"history"}
    if results.own.tuned is None or results.tables.tuning_table is None:
        absent |= {"search", "precision_recall"}
    if not (worst or {}).get("out_of_fold"):
        absent |= {"worst_pages"}
    return {name: file for name, file in PICTURES.items() if name not in absent}


def draw_histories(
    histories: dict[str, pd.DataFrame | None], own: Experiment
) -> tuple[object, Files]:
    """Draw scores and losses by epoch; an empty figure and no file where no history is known."""
    from matplotlib.figure import Figure

    from receipt_ocr.pictures import plots

    known = {name: one for name, one in histories.items() if one is not None}
    if not known:
        return Figure(), {}
    early = [name for name, record in own.trainings.items() if stopped_early(record)]
    figure = plots.plot_histories(known, early)
    return figure, {PICTURES["history"]: plots.encode_png(figure)}


def draw_scores(page_scores: pd.DataFrame) -> tuple[object, Files]:
    """Draw every page's H-mean by member."""
    from receipt_ocr.pictures import plots

    figure = plots.plot_scores(page_scores)
    return figure, {PICTURES["scores"]: plots.encode_png(figure)}


def draw_search(own: Experiment, tuning_table: pd.DataFrame | None) -> Files:
    """Draw what tuning tried; no files where it has not run."""
    from receipt_ocr.pictures import plots, search_plots

    if own.tuned is None or tuning_table is None:
        return {}
    best = own.tuned.postprocess.model_dump(mode="json")
    sides = {name: side.model_dump() for name, side in own.tuned.sensitivity.items()}
    search = search_plots.plot_search(tuning_table, best, sides)
    curves = search_plots.plot_precision_recall(tuning_table, best)
    return {
        PICTURES["search"]: plots.encode_png(search),
        PICTURES["precision_recall"]: plots.encode_png(curves),
    }


def draw_gallery(
    detections: Detections,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    page_scores: pd.DataFrame,
    raw_receipts: Path,
) -> tuple[object, Files]:
    """Draw test pages from the ensemble's worst to its best, with truth and detections."""
    from receipt_ocr.analysis import tables

    names = tables.choose_pages(page_scores, pages)
    chosen = {name: detections[name] for name in names}
    return _draw_sheet("gallery", chosen, "test", (pages, words), raw_receipts)


def draw_worst(
    worst: dict[str, Detections] | None,
    pages: pd.DataFrame,
    words: pd.DataFrame,
    raw_receipts: Path,
) -> tuple[object, Files]:
    """Draw the worst out-of-fold pages; an empty picture and no file where none are known."""
    from PIL import Image

    found = (worst or {}).get("out_of_fold", {})
    if not found:
        return Image.new("RGB", (64, 64), "white"), {}
    return _draw_sheet("worst_pages", found, "train", (pages, words), raw_receipts)


def _draw_sheet(
    name: str,
    found: Detections,
    subset: str,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    raw_receipts: Path,
) -> tuple[object, Files]:
    """Draw pages with truth (where it is known) and detections on one sheet."""
    from PIL import Image

    from receipt_ocr.pictures import gallery

    pages, words = (table[table["subset"] == subset] for table in tables)
    known = pages.set_index("page")
    tiles = [
        _draw_tile(
            raw_receipts / str(known.loc[page, "path"]),
            words[words["page"] == page] if known.loc[page, "has_truth"] else None,
            polygons,
        )
        for page, polygons in found.items()
    ]
    sheet = gallery.contact_sheet(tiles, list(found), COLUMNS)
    return Image.fromarray(sheet), {PICTURES[name]: gallery.encode_jpeg(sheet)}


def _draw_tile(
    path: Path, words: pd.DataFrame | None, detections: Sequence[Sequence[float]]
) -> Any:
    """Draw one page; without words (truth withheld) its detections only."""
    from receipt_ocr.evaluation.cleval import score_page
    from receipt_ocr.geometry.polygons import as_polygon
    from receipt_ocr.pictures import gallery
    from receipt_ocr.receipts.images import read_upright

    found, image = [as_polygon(flat) for flat in detections], read_upright(path)
    if words is None:
        return gallery.draw_page(image, [], found, height=TILE_HEIGHT)
    truth = [as_polygon(flat) for flat in words["polygon"]]
    score = score_page(truth, found, ignored=words["ignored"].astype(bool).tolist())
    return gallery.draw_page(image, truth, found, score, height=TILE_HEIGHT)
