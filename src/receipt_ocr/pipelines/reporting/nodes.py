"""Nodes of the reporting stage."""

from pathlib import Path
from typing import Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments

__all__ = ["PICTURES", "draw_gallery", "draw_histories", "draw_scores", "write_report"]

PICTURES = {
    "How the folds learnt (the axes of the scores are stretched towards 1)": "history.png",
    "H-mean of every page, by member": "scores.png",
    "Six test pages, from the ensemble's worst to its best": "gallery.jpg",
}
"""Caption -> file beside the report, as the catalog names it."""

TILE_HEIGHT = 700
COLUMNS = 3


def write_report(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    experiments: Experiments,
    ensemble: EnsembleSettings,
    raw_receipts: Path,
    pages: pd.DataFrame,
    rejected: pd.DataFrame,
    scores: pd.DataFrame,
    page_scores: pd.DataFrame,
    chosen: dict[str, Any],
    tuned: dict[str, Any] | None,
    tuning_table: pd.DataFrame | None,
    *histories: pd.DataFrame | None,
) -> str:
    """The report as Markdown."""
    from receipt_ocr.evaluation.report import Results, write_report

    if (scored := chosen["members"]["folds"]) != list(ensemble.folds):
        raise ValueError(
            f"the stored scores are of folds {scored}, ensemble.members asks for folds "
            f"{list(ensemble.folds)}; run --pipeline=ensemble with these members first"
        )
    results = Results(
        experiment=experiments.selected,
        dataset="/".join(raw_receipts.parts[-2:]),
        recipe=experiments.chosen.model_dump(mode="json"),
        histories=_of_members(ensemble, experiments, histories),
        scores=scores,
        page_scores=page_scores,
        chosen_postprocess=chosen,
        pages=pages,
        rejected=rejected,
        weights=ensemble.weights,
        tuned_postprocess=tuned,
        tuning_table=tuning_table,
    )
    return write_report(results, PICTURES)


def draw_histories(
    experiments: Experiments, ensemble: EnsembleSettings, *histories: pd.DataFrame | None
) -> object:
    """The members' scores and losses by epoch (a Matplotlib figure)."""
    from receipt_ocr.evaluation.plots import plot_histories

    return plot_histories(_of_members(ensemble, experiments, histories))


def draw_scores(page_scores: pd.DataFrame) -> object:
    """Every page's H-mean by member (a Matplotlib figure)."""
    from receipt_ocr.evaluation.plots import plot_scores

    return plot_scores(page_scores)


def draw_gallery(
    detections: dict[str, list[list[float]]],
    pages: pd.DataFrame,
    words: pd.DataFrame,
    page_scores: pd.DataFrame,
    raw_receipts: Path,
) -> object:
    """Test pages from the ensemble's worst to its best, with truth and detections (a picture)."""
    from PIL import Image

    from receipt_ocr.evaluation.gallery import contact_sheet
    from receipt_ocr.evaluation.report_tables import choose_pages

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
    return Image.fromarray(contact_sheet(tiles, names, COLUMNS))


def _draw_tile(path: Path, words: pd.DataFrame | None, detections: list[list[float]]) -> Any:
    """One page; without words (truth withheld) its detections only."""
    from receipt_ocr.evaluation.cleval import score_page
    from receipt_ocr.evaluation.gallery import draw_page
    from receipt_ocr.geometry import as_polygon
    from receipt_ocr.receipts.images import read_upright

    found = [as_polygon(flat) for flat in detections]
    if words is None:
        return draw_page(read_upright(path), [], found, height=TILE_HEIGHT)
    truth = [as_polygon(flat) for flat in words["polygon"]]
    score = score_page(truth, found, ignored=words["ignored"].astype(bool).tolist())
    return draw_page(read_upright(path), truth, found, score, height=TILE_HEIGHT)


def _of_members(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    histories: tuple[pd.DataFrame | None, ...],
) -> dict[str, pd.DataFrame]:
    """Member -> history, of the folds that vote."""
    members = {}
    for fold in ensemble.folds:
        history = histories[fold]
        if history is None:
            raise FileNotFoundError(
                f"fold {fold} votes, but there is no history of its training; train it with "
                f"--pipeline=train_fold --params "
                f"fold={fold},experiment={experiments.selected}"
            )
        members[f"fold_{fold}"] = history
    return members
