"""Members judged on whole page sets: from stored maps and tables to tables of scores."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from receipt_ocr.analysis.scores import prepare_truths, tabulate_pages
from receipt_ocr.analysis.word_errors import choose_worst, tabulate_words
from receipt_ocr.decoding.decode import judge_maps, score_maps
from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.members import PagesToday
from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.identity import Member
from receipt_ocr.records import ChosenPostprocess

Members = Mapping[str, Mapping[str, LoadMap]]
"""Name of a member, or ``ensemble`` -> its maps."""

Worst = dict[str, dict[str, list[list[float]]]]
"""Subset -> page -> polygons, flat in page pixels; the worst page first."""

WORST_PAGES = 6

UNSEEN = ("holdout", "test")
"""Subsets that no fold has trained on."""

TRUTH_OF = {"out_of_fold": "train"}
"""Subset in the tables of scores -> subset in the tables of pages and words, where they differ."""


class Judged(NamedTuple):
    """Results of members on one subset or several."""

    pages: pd.DataFrame
    """A row a member and page."""
    words: pd.DataFrame
    """A row a word; see :func:`receipt_ocr.analysis.word_errors.tabulate_words`."""
    worst: Worst


def list_pages(pages: pd.DataFrame, folds: pd.DataFrame) -> PagesToday:
    """The pages that stored maps must be of, from the tables of pages and folds."""
    sizes = pages[["page", "width", "height"]].itertuples(index=False)
    return PagesToday(
        names={kind: pages.loc[pages["subset"] == kind, "page"].tolist() for kind in UNSEEN},
        fold_of=dict(zip(folds["page"].astype(str), folds["fold"].astype(int), strict=True)),
        sizes={str(page): (int(width), int(height)) for page, width, height in sizes},
    )


def score_members(
    members: Members,
    subset: str,
    settings: PostprocessSettings,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> pd.DataFrame:
    """Score the members' maps of a subset: a row a member and page with a known truth."""
    truths = prepare_truths(pages, words, TRUTH_OF.get(subset, subset))
    rows = [
        tabulate_pages(member, subset, score_maps(maps, truths, settings))
        for member, maps in members.items()
    ]
    return pd.concat(rows, ignore_index=True)


def judge_members(
    members: Members,
    subset: str,
    settings: PostprocessSettings,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> Judged:
    """Score as :func:`score_members` does, and list every word's fate and the worst pages.

    The worst pages are chosen among those of own members: external ones saw the same pages.
    """
    truths = prepare_truths(pages, words, TRUTH_OF.get(subset, subset))
    page_rows, word_rows = [], []
    worst: dict[str, Any] = {}
    for member, maps in members.items():
        judged = judge_maps(maps, truths, settings)
        scores = {page: score for page, (_, score) in judged.items()}
        page_rows.append(tabulate_pages(member, subset, scores))
        word_rows.append(tabulate_words(member, subset, judged, truths))
        if member == "ensemble" or not Member.parse(member).is_external:
            worst |= choose_worst(judged, WORST_PAGES)
    flat = {
        page: [polygon.ravel().tolist() for polygon in found]
        for page, (found, _) in choose_worst(worst, WORST_PAGES).items()
    }
    return Judged(
        pages=pd.concat(page_rows, ignore_index=True),
        words=pd.concat(word_rows, ignore_index=True),
        worst={subset: flat},
    )


def score_at_recipe(
    chosen: ChosenPostprocess,
    maps: Mapping[str, Members],
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> pd.DataFrame:
    """Score members at the recipe's settings; no rows where these were chosen anyway.

    ``maps`` are by subset, then by member.
    """
    if not chosen.is_tuned or chosen.recipe is None:
        return tabulate_pages("", "", {})
    rows = [score_members(own, kind, chosen.recipe, pages, words) for kind, own in maps.items()]
    return pd.concat(rows, ignore_index=True)


def join_judged(*parts: Judged) -> Judged:
    """Join the results on several subsets, in their order."""
    return Judged(
        pages=pd.concat([part.pages for part in parts], ignore_index=True),
        words=pd.concat([part.words for part in parts], ignore_index=True),
        worst={subset: one for part in parts for subset, one in part.worst.items()},
    )
