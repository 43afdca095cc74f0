"""Scores of whole page sets as tables: a row a page, a row a member."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from receipt_ocr.evaluation.cleval import (
    DatasetScore,
    PageScore,
    TruthWords,
    prepare_truth,
    score_pages,
    score_prepared,
)
from receipt_ocr.geometry.polygons import Polygon, as_polygon

COUNTS = [
    "characters_truth",
    "characters_detected",
    "characters_matched",
    "false_positives",
    "recall_penalty",
    "precision_penalty",
]  # in the order of PageScore
ERRORS = ["missed", "split", "merged", "false"]
PAGE_TYPES = {
    **dict.fromkeys(["member", "subset", "page"], "str"),
    **dict.fromkeys(["recall", "precision", "hmean"], "float64"),
    **dict.fromkeys([*COUNTS, *ERRORS], "int64"),
}
PAGE_COLUMNS = list(PAGE_TYPES)
SCORE_COLUMNS = ["member", "subset", "pages", "recall", "precision", "hmean", "corpus_hmean"]


def prepare_truths(
    pages: pd.DataFrame, words: pd.DataFrame, subset: str, names: Sequence[str] | None = None
) -> dict[str, TruthWords]:
    """The truth side of every page of a subset, computed once for all detections.

    Args:
        pages: Table of all pages.
        words: Table of all words.
        subset: ``train``, ``holdout`` or ``test``.
        names: Only these pages; None takes all whose truth is known.
    """
    own = pages[(pages["subset"] == subset) & pages["has_truth"]]
    if names is not None:
        own = own[own["page"].isin(names)]
    by_page = {str(p): w for p, w in words[words["subset"] == subset].groupby("page", sort=False)}
    empty = words.iloc[:0]
    return {
        page: prepare_truth(
            [as_polygon(flat) for flat in by_page.get(page, empty)["polygon"]],
            ignored=[bool(value) for value in by_page.get(page, empty)["ignored"]],
        )
        for page in own["page"].astype(str)
    }


def score_polygons(
    found: Mapping[str, Sequence[Polygon]], truths: Mapping[str, TruthWords]
) -> DatasetScore:
    """Score polygons (upright page pixels) on one or more pages; a page without any counts too."""
    return score_pages(
        [score_prepared(truth, found.get(page, [])) for page, truth in truths.items()]
    )


def tabulate_pages(member: str, subset: str, page_scores: Mapping[str, PageScore]) -> pd.DataFrame:
    """One row a page: its score, counts, and how many words went wrong in which way."""
    rows = []
    for page, score in page_scores.items():
        values = asdict(score)
        rows.append(
            {
                "member": member,
                "subset": subset,
                "page": page,
                "recall": score.recall,
                "precision": score.precision,
                "hmean": score.hmean,
                **{count: values[count] for count in COUNTS},
                **{error: len(values[error]) for error in ERRORS},
            }
        )
    # Typed, so that a subset without pages joins the others without changing their types.
    return pd.DataFrame(rows, columns=PAGE_COLUMNS).astype(PAGE_TYPES)


def tabulate_scores(pages: pd.DataFrame) -> pd.DataFrame:
    """One row a member and subset: page means as on the leaderboard, and the corpus H-mean."""
    rows = []
    for (member, subset), own in pages.groupby(["member", "subset"], sort=False):
        counts = own[COUNTS].itertuples(index=False, name=None)
        score = score_pages([PageScore(*page) for page in counts])
        row = (score.recall, score.precision, score.hmean, score.corpus_hmean)
        rows.append((member, subset, len(own), *row))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def list_hmeans(scores: pd.DataFrame, member: str) -> dict[str, float]:
    """A member's figures by name, such as ``holdout_hmean``; nothing where it was not scored.

    Out of fold the ensemble has none: there the mean of the members' stands. ``scores`` are rows of
    :func:`tabulate_scores`.
    """
    figures: dict[str, float] = {}
    for subset, own in scores.groupby("subset", sort=False):
        rows = own[own["member"] == member]
        if rows.empty and member == "ensemble" and subset == "out_of_fold":
            rows = own
        for name in ("hmean", "precision", "recall"):
            if len(rows):
                figures[f"{subset}_{name}"] = float(rows[name].mean())
    return figures
