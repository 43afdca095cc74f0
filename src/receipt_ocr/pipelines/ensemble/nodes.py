"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from receipt_ocr.datasets.experiments import ExperimentStore
from receipt_ocr.decoding.maps import LazyMaps, LoadMap, MemberMaps
from receipt_ocr.decoding.settings import EnsembleSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.identity import ExperimentId, Member
from receipt_ocr.pipelines.ensemble.tracking import log_scores
from receipt_ocr.receipts.settings import FOLD_COUNT
from receipt_ocr.records import ChosenPostprocess, TunedPostprocess, Voting
from receipt_ocr.search.choice import choose_postprocess

Worst = dict[str, dict[str, list[list[float]]]]
"""Subset -> its worst pages -> polygons found, flat in page pixels."""

Tables = tuple[pd.DataFrame, pd.DataFrame, Worst]
"""A row a member and page, a row a word, and the worst pages."""

log = logging.getLogger(__name__)


def gather_members(*kinds: str) -> Callable[..., MemberMaps]:
    """A node that finds the maps of all who vote; its own come kind by kind, each fold by fold."""

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

        find = partial(_find_maps, kinds, stored, fold_maps)
        return members.gather(ensemble, find, list_pages(pages, folds), kinds, tta.chosen.label)

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


def pick_postprocess(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    voters: MemberMaps,
    weights: list[float],
    tuned: TunedPostprocess | None,
    holdout: TunedPostprocess | None,
) -> ChosenPostprocess:
    """Choose the post-processing that maps are read with; note its source and who votes how."""
    voting = Voting(
        names=tuple(voters.names),
        weights=tuple(weights),
        sources=dict(voters.sources),
        mean=ensemble.mean,
    )
    recipe = experiments.chosen.postprocess
    return choose_postprocess(ensemble.thresholds, recipe, voting, tuned, holdout)


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
    """A node that scores all members on a subset; words and worst pages are the ensemble's."""

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


def score_untuned(
    chosen: ChosenPostprocess,
    voters: MemberMaps,
    holdout_maps: LazyMaps,
    test_maps: LazyMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> pd.DataFrame:
    """Score the maps again at the recipe's post-processing; no rows where nothing is tuned."""
    from receipt_ocr.analysis.judging import score_at_recipe

    maps = {
        "out_of_fold": voters.maps["out_of_fold"],
        "holdout": {"ensemble": holdout_maps},
        "test": {"ensemble": test_maps},
    }
    return score_at_recipe(chosen, maps, pages, words)


def join_tables(*parts: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Worst]:
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
    own = ExperimentId(experiments.selected, tta.selected)
    log_scores(own, chosen.names, scores, stored.training_run)


def _find_maps(
    kinds: Sequence[str], store: ExperimentStore, own: Sequence[LazyMaps], member: Member, kind: str
) -> LazyMaps:
    if member.is_external:
        return store.maps(str(member.source), member.fold, kind)
    return own[kinds.index(kind) * FOLD_COUNT + member.fold]
