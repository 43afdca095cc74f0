"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, MemberMaps
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import ChosenPostprocess, TunedPostprocess, Voting

__all__ = [
    "average_members",
    "detect_words",
    "gather_members",
    "join_tables",
    "pick_postprocess",
    "publish_scores",
    "score_ensemble",
    "score_out_of_fold",
    "score_untuned",
    "weigh_members",
]

Tables = tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, list[list[float]]]]]
"""A row a member and page, a row a word, and the worst pages of each subset with their polygons."""

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
        stored: ExperimentStore,
        *fold_maps: LazyMaps,
    ) -> MemberMaps:
        from receipt_ocr.analysis.judging import list_pages
        from receipt_ocr.decoding import members

        def find(member: Member, kind: str) -> LazyMaps:
            if member.is_external:
                return stored.maps(str(member.source), member.fold, kind)
            return fold_maps[kinds.index(kind) * FOLD_COUNT + member.fold]

        today = list_pages(pages, folds)
        return members.gather(ensemble, find, today, kinds, tta.chosen.label)

    return gather


def weigh_members(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    voters: MemberMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> list[float]:
    """Choose how much each member counts, a share of 1."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.decoding import members

    decides = ensemble.weights == "out_of_fold"
    truths = prepare_truths(pages, words, "train") if decides else {}
    weights = members.weigh(ensemble, voters, truths, experiments.chosen.postprocess)
    shares = zip(voters.names, weights, strict=True)
    log.info("Voting: %s", ", ".join(f"{name} {share:.3f}" for name, share in shares))
    return weights


def pick_postprocess(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    ensemble: EnsembleSettings,
    experiments: Experiments,
    voters: MemberMaps,
    weights: list[float],
    tuned: TunedPostprocess | None,
    holdout: TunedPostprocess | None,
) -> ChosenPostprocess:
    """Choose the post-processing that maps are read with; note its source and who votes how."""
    from receipt_ocr.search.tuned import choose_postprocess

    voting = Voting(
        names=tuple(voters.names),
        weights=tuple(weights),
        sources=dict(voters.sources),
        mean=ensemble.mean,
    )
    recipe = experiments.chosen.postprocess
    chosen = choose_postprocess(ensemble.thresholds, recipe, voting, tuned, holdout)
    log.info("Post-processing (%s): %s", chosen.source, chosen.postprocess)
    return chosen


def average_members(kind: str) -> Callable[..., Mapping[str, LoadMap]]:
    """A node that averages the members' maps of a kind, page by page when it is saved."""

    def average(
        ensemble: EnsembleSettings, voters: MemberMaps, weights: list[float]
    ) -> Mapping[str, LoadMap]:
        from receipt_ocr.decoding.ensemble import vote

        return vote(voters.maps[kind], weights, ensemble.mean)

    return average


def detect_words(maps: LazyMaps, chosen: ChosenPostprocess) -> dict[str, list[list[float]]]:
    """Page -> polygons, flat ``[x1, y1, ...]`` in page pixels."""
    from receipt_ocr.decoding.decode import decode_maps

    return {
        page: [polygon.ravel().tolist() for polygon in detections.polygons]
        for page, detections in decode_maps(maps, chosen.postprocess)
    }


def score_out_of_fold(
    chosen: ChosenPostprocess, voters: MemberMaps, pages: pd.DataFrame, words: pd.DataFrame
) -> Tables:
    """Score every member on its own out-of-fold pages."""
    from receipt_ocr.analysis.judging import judge_members

    maps = voters.maps["out_of_fold"]
    return judge_members(maps, "out_of_fold", chosen.postprocess, pages, words)


def score_ensemble(kind: str) -> Callable[..., Tables]:
    """A node that scores every member and the ensemble on one subset.

    Words and worst pages are the ensemble's alone.
    """

    def score(
        chosen: ChosenPostprocess,
        voters: MemberMaps,
        ensemble_maps: LazyMaps,
        pages: pd.DataFrame,
        words: pd.DataFrame,
    ) -> Tables:
        from receipt_ocr.analysis.judging import judge_members, score_members

        truth = (kind, chosen.postprocess, pages, words)
        alone = score_members(voters.maps[kind], *truth)
        judged = judge_members({"ensemble": ensemble_maps}, *truth)
        return judged._replace(pages=pd.concat([alone, judged.pages], ignore_index=True))

    return score


def score_untuned(  # noqa: PLR0913, PLR0917  # one argument a catalog entry
    chosen: ChosenPostprocess,
    voters: MemberMaps,
    holdout_maps: LazyMaps,
    test_maps: LazyMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> pd.DataFrame:
    """Score the maps again at the recipe's post-processing, to see what tuning gains.

    Members out of fold, and the ensemble on the other pages; no rows where nothing is tuned.
    """
    from receipt_ocr.analysis.judging import score_at_recipe

    maps = {
        "out_of_fold": voters.maps["out_of_fold"],
        "holdout": {"ensemble": holdout_maps},
        "test": {"ensemble": test_maps},
    }
    return score_at_recipe(chosen, maps, pages, words)


def join_tables(
    *parts: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, dict[str, list[list[float]]]]]:
    """All scored pages, one row a member and subset, all words, and the worst pages."""
    from receipt_ocr.analysis.judging import Judged, join_judged
    from receipt_ocr.analysis.scores import tabulate_scores

    pages, words, worst = join_judged(*map(Judged, parts[::3], parts[1::3], parts[2::3]))
    scores = tabulate_scores(pages)
    log.info("Scores:\n%s", scores.to_string(index=False, float_format="%.4f"))
    return pages, scores, words, worst


def publish_scores(
    experiments: Experiments,
    tta: TtaVariants,
    chosen: ChosenPostprocess,
    scores: pd.DataFrame,
    stored: ExperimentStore,
) -> None:
    """Write the scores into the MLflow runs of ensemble, experiment and its folds, as columns."""
    from receipt_ocr.pipelines.ensemble.tracking import log_scores

    own = ExperimentId(experiments.selected, tta.selected)
    log_scores(own, chosen.names, scores, stored.training_run)
