"""Nodes of the reporting stage."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants

if TYPE_CHECKING:
    from receipt_ocr.datasets.experiments import StoredExperiments
else:  # Kedro reads the signatures to check parameters
    StoredExperiments = Any

__all__ = [
    "PICTURES",
    "SEARCH_PICTURES",
    "draw_gallery",
    "draw_histories",
    "draw_scores",
    "gather_histories",
    "write_report",
]

PICTURES = {
    "How the folds learnt (the axes of the scores are stretched towards 1)": "history.png",
    "H-mean of every page, by member": "scores.png",
    "Six test pages, from the ensemble's worst to its best": "gallery.jpg",
}
"""Caption -> file beside the report, as the catalog names it."""

SEARCH_PICTURES = {
    "H-mean out of fold over the post-processing settings that were tried": "search.png",
    "Precision and recall out of fold, as box_thresh moves": "precision_recall.png",
}
"""The same, made by tuning."""

TILE_HEIGHT = 700
COLUMNS = 3


def gather_histories(
    experiments: Experiments,
    ensemble: EnsembleSettings,
    others: StoredExperiments,
    *histories: pd.DataFrame | None,
) -> dict[str, pd.DataFrame | None]:
    """Member -> history of its training, of all who vote."""
    members: dict[str, pd.DataFrame | None] = {}
    for member in ensemble.voters:
        if member.experiment:
            members[member.name] = others.history(member.experiment, member.fold)
            continue
        history = histories[member.fold]
        if history is None:
            raise FileNotFoundError(
                f"fold {member.fold} votes, but there is no history of its training; train it "
                f"with --pipeline=train_fold --params "
                f"fold={member.fold},experiment={experiments.selected}"
            )
        members[member.name] = history
    return members


def write_report(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    experiments: Experiments,
    tta: TtaVariants,
    histories: dict[str, pd.DataFrame | None],
    raw_receipts: Path,
    pages: pd.DataFrame,
    rejected: pd.DataFrame,
    scores: pd.DataFrame,
    page_scores: pd.DataFrame,
    untuned_page_scores: pd.DataFrame,
    chosen: dict[str, Any],
    tuned: dict[str, Any] | None,
    tuning_table: pd.DataFrame | None,
    holdout: dict[str, Any] | None,
) -> str:
    """The report as Markdown."""
    from receipt_ocr.evaluation.report import Results, write_report

    if (scored := chosen["members"]["names"]) != list(histories):
        raise ValueError(
            f"the stored scores are of {', '.join(scored)}, ensemble.members asks for "
            f"{', '.join(histories)}; run --pipeline=ensemble with these members first"
        )
    results = Results(
        experiment=tta.name_variant(experiments.selected),
        dataset="/".join(raw_receipts.parts[-2:]),
        recipe={
            **experiments.chosen.model_dump(mode="json"),
            "test_time": tta.chosen.model_dump(mode="json"),
        },
        histories=histories,
        scores=scores,
        page_scores=page_scores,
        chosen_postprocess=chosen,
        pages=pages,
        rejected=rejected,
        untuned_page_scores=untuned_page_scores,
        tuned_postprocess=tuned,
        tuning_table=tuning_table,
        holdout_postprocess=holdout,
    )
    pictures = SEARCH_PICTURES if tuned else {}
    return write_report(results, {**PICTURES, **pictures})


def draw_histories(histories: dict[str, pd.DataFrame | None]) -> object:
    """The members' scores and losses by epoch (a Matplotlib figure)."""
    from receipt_ocr.evaluation.plots import plot_histories

    return plot_histories({name: one for name, one in histories.items() if one is not None})


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
