"""Results of small experiments, made by hand."""

from typing import Any

import pandas as pd

from receipt_ocr.analysis.experiment import Experiment
from receipt_ocr.analysis.report import make_report
from receipt_ocr.analysis.results import Compared, Results, Tables
from receipt_ocr.analysis.scores import tabulate_pages
from receipt_ocr.evaluation.cleval import PageScore
from receipt_ocr.report.render import Language, render_markdown
from tests.analysis.made_records import choose, history

RECIPE = {
    "network": {"encoder": "lite0"},
    "frame": {"sizes": [{"epoch": 0, "size": 640}, {"epoch": 4, "size": 960}]},
    "training": {"schedule": "one_cycle", "epochs": 7, "schedule_epochs": 20},
}
GRID = pd.DataFrame(
    {"thresh": [0.1, 0.2, 0.29], "box_thresh": 0.25, "unclip_ratio": [1.5, 2.0, 2.5]}
).assign(max_candidates=600, hmean=0.9)
REJECTED = pd.DataFrame(
    [("test", "x", "", "image_unreadable", ""), ("train", "y", "3", "zero_area", "")],
    columns=["subset", "page", "word", "reason", "detail"],
)


def score(found: int, of: int = 100, **errors: Any) -> PageScore:
    """A page with H-mean ``found / of`` (recall and precision are equal)."""
    return PageScore(of, of, found, 0, 0, 0, **errors)


def score_rows(test: bool = True, holdout: bool = True, members: int = 2) -> pd.DataFrame:
    """Three pages a member and subset; each fold finds 90, the ensemble 95 of 100 characters."""
    out_of_fold, voted = [], []
    for fold in range(members):
        own = {f"train_{fold}_{i}": score(92 + fold + i) for i in range(3)}
        out_of_fold.append(tabulate_pages(f"fold_{fold}", "out_of_fold", own))
        for subset, has_truth in (("holdout", holdout), ("test", test)):
            pages = {f"{subset}_{i}": score(88 + 2 * fold + i, missed=(0, 1)) for i in range(3)}
            voted.append(tabulate_pages(f"fold_{fold}", subset, pages if has_truth else {}))
    for subset, has_truth in (("holdout", holdout), ("test", test)):
        pages = {f"{subset}_{i}": score(95 + i, missed=(0,)) for i in range(3)}
        voted.append(tabulate_pages("ensemble", subset, pages if has_truth else {}))
    return pd.concat([*out_of_fold, *voted], ignore_index=True)


def make_experiment(
    name: str = "tiny", page_scores: pd.DataFrame | None = None, **more: Any
) -> Experiment:
    """An experiment without trainings and submissions."""
    rows = score_rows() if page_scores is None else page_scores
    given: dict[str, Any] = {"histories": {}, "trainings": {}, "chosen": choose()}
    return Experiment(name=name, page_scores=rows, **(given | more))


def make_results(
    page_scores: pd.DataFrame | None = None,
    *,
    others: tuple[Experiment, ...] = (),
    histories: dict[str, pd.DataFrame | None] | None = None,
    tables: dict[str, Any] | None = None,
    compared: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    **own: Any,
) -> Results:
    """Results of the experiment ``tiny`` with two folds, unless others are given."""
    if histories is None:
        histories = {"fold_0": history(0.1, 0.9, 0.9), "fold_1": history(0.2, 0.8)}
    own.setdefault("chosen", choose(tuple(histories)))
    own.setdefault("histories", {name: one for name, one in histories.items() if "/" not in name})
    pages = pd.DataFrame(
        [(f"{s}_{i}", s, 10, True) for s in ("train", "holdout", "test") for i in range(3)],
        columns=["page", "subset", "word_count", "has_truth"],
    )
    experiment = make_experiment(page_scores=page_scores, **own)
    return Results(
        dataset="01_raw/receipts",
        histories=histories,
        compared=Compared((experiment, *others), **(compared or {})),
        tables=Tables(**({"pages": pages, "rejected": REJECTED.iloc[:0]} | (tables or {}))),
        **({"recipes": {experiment.name: RECIPE}} | (more or {})),
    )


def write(
    results: Results, language: Language = "english", pictures: dict[str, str] | None = None
) -> str:
    """The report of some results."""
    return render_markdown(make_report(results, pictures or {}), language)
