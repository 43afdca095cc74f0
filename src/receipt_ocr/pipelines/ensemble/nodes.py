"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, Member, PostprocessSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.receipts.settings import FOLD_COUNT

if TYPE_CHECKING:
    from receipt_ocr.datasets.experiments import StoredExperiments
    from receipt_ocr.decoding.maps import LazyMaps, LoadMap
    from receipt_ocr.decoding.members import MemberMaps
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    LazyMaps = LoadMap = MemberMaps = StoredExperiments = Any

__all__ = [
    "choose_postprocess",
    "detect_words",
    "gather_members",
    "join_tables",
    "score_members",
    "score_out_of_fold",
    "score_untuned",
    "vote",
    "weigh_members",
]

log = logging.getLogger(__name__)


def gather_members(*kinds: str) -> Callable[..., MemberMaps]:
    """A node that finds the maps of all who vote, and checks that they are of today's pages.

    Its maps of the selected experiment come kind by kind, each fold by fold.
    """

    def gather(
        ensemble: EnsembleSettings,
        tta: TtaVariants,
        folds: pd.DataFrame,
        pages: pd.DataFrame,
        others: StoredExperiments,
        *fold_maps: LazyMaps,
    ) -> MemberMaps:
        from receipt_ocr.decoding.members import gather_members as find_all

        def find(member: Member, kind: str) -> LazyMaps:
            if member.experiment:
                return others.maps(member.experiment, member.fold, kind)
            return fold_maps[kinds.index(kind) * FOLD_COUNT + member.fold]

        known = {kind: pages.loc[pages["subset"] == kind, "page"].tolist() for kind in kinds}
        fold_of = dict(zip(folds["page"].astype(str), folds["fold"].astype(int), strict=True))
        return find_all(ensemble, find, known, fold_of, kinds, tta.chosen.label)

    return gather


def weigh_members(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: MemberMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> list[float]:
    """How much each member counts, a share of 1."""
    from receipt_ocr.decoding.members import weigh_members as weigh
    from receipt_ocr.evaluation.scores import prepare_truths

    decides = ensemble.weights == "out_of_fold"
    truths = prepare_truths(pages, words, "train") if decides else {}
    weights = weigh(ensemble, members, truths, experiments.chosen.postprocess)
    shares = zip(members.names, weights, strict=True)
    log.info("Voting: %s", ", ".join(f"{name} {share:.3f}" for name, share in shares))
    return weights


def choose_postprocess(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: MemberMaps,
    weights: list[float],
    tuned: dict[str, Any] | None,
    holdout: dict[str, Any] | None,
) -> dict[str, Any]:
    """The post-processing that maps are read with, where it comes from, and who votes how."""
    from receipt_ocr.decoding.tuned import Voting
    from receipt_ocr.decoding.tuned import choose_postprocess as choose

    recipe = experiments.chosen.postprocess
    voting = Voting(ensemble.mean, dict(zip(members.names, weights, strict=True)))
    source, settings = choose(ensemble.thresholds, recipe, tuned, members.sources, holdout, voting)
    log.info("Post-processing (%s): %s", source, settings)
    return {
        "source": source,
        "postprocess": settings.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "members": {
            "names": members.names,
            "weights": weights,
            "sources": dict(members.sources),
            "mean": ensemble.mean,
        },
    }


def vote(kind: str) -> Callable[..., Mapping[str, LoadMap]]:
    """A node that averages the members' maps of a kind, page by page when it is saved."""

    def average(
        ensemble: EnsembleSettings, members: MemberMaps, weights: list[float]
    ) -> Mapping[str, LoadMap]:
        from receipt_ocr.decoding.ensemble import vote as mean_of

        return mean_of(members.maps[kind], weights, ensemble.mean)

    return average


def detect_words(maps: LazyMaps, chosen: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Page -> polygons, flat ``[x1, y1, ...]`` in page pixels."""
    from receipt_ocr.decoding.decode import decode_maps

    settings = PostprocessSettings.model_validate(chosen["postprocess"])
    return {
        page: [polygon.ravel().tolist() for polygon in detections.polygons]
        for page, detections in decode_maps(maps, settings)
    }


def score_out_of_fold(
    chosen: dict[str, Any], members: MemberMaps, pages: pd.DataFrame, words: pd.DataFrame
) -> pd.DataFrame:
    """Every member on its own validation pages, a row a page."""
    maps = members.maps["out_of_fold"]
    return _score(("out_of_fold", "train"), maps, chosen["postprocess"], (pages, words))


def score_members(kind: str) -> Callable[..., pd.DataFrame]:
    """A node that scores every member and the ensemble on one subset, a row a page."""

    def score(
        chosen: dict[str, Any],
        members: MemberMaps,
        ensemble_maps: LazyMaps,
        pages: pd.DataFrame,
        words: pd.DataFrame,
    ) -> pd.DataFrame:
        maps = {**members.maps[kind], "ensemble": ensemble_maps}
        return _score((kind, kind), maps, chosen["postprocess"], (pages, words))

    return score


def score_untuned(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    chosen: dict[str, Any],
    members: MemberMaps,
    holdout_maps: LazyMaps,
    test_maps: LazyMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> pd.DataFrame:
    """The same at the recipe's post-processing, to see what tuning gains; a row a page.

    Members out of fold, and the ensemble on the other pages; no rows where nothing is tuned.
    """
    from receipt_ocr.evaluation.scores import tabulate_pages

    if chosen["source"] == "recipe":
        return tabulate_pages("", "", {})
    tables, settings = (pages, words), chosen["recipe"]
    return pd.concat(
        [
            _score(("out_of_fold", "train"), members.maps["out_of_fold"], settings, tables),
            _score(("holdout", "holdout"), {"ensemble": holdout_maps}, settings, tables),
            _score(("test", "test"), {"ensemble": test_maps}, settings, tables),
        ],
        ignore_index=True,
    )


def join_tables(*page_scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scored pages, and one row a member and subset."""
    from receipt_ocr.evaluation.scores import tabulate_scores

    joined = pd.concat(page_scores, ignore_index=True)
    scores = tabulate_scores(joined)
    log.info("Scores:\n%s", scores.to_string(index=False, float_format="%.4f"))
    return joined, scores


def _score(
    subsets: tuple[str, str],
    members: Mapping[str, LazyMaps],
    postprocess: dict[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> pd.DataFrame:
    """Args: the subset's name in the tables of scores, and in those of pages and words."""
    from receipt_ocr.decoding.decode import score_maps
    from receipt_ocr.evaluation.scores import prepare_truths, tabulate_pages

    settings = PostprocessSettings.model_validate(postprocess)
    truths = prepare_truths(*tables, subsets[1])
    rows = [
        tabulate_pages(member, subsets[0], score_maps(maps, truths, settings))
        for member, maps in members.items()
    ]
    return pd.concat(rows, ignore_index=True)
