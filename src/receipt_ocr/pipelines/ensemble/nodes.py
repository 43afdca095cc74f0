"""Nodes of the ensemble stage."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from receipt_ocr.decoding.settings import EnsembleSettings, PostprocessSettings
from receipt_ocr.detector.settings import Experiments
from receipt_ocr.detector.tta_settings import TtaVariants
from receipt_ocr.identity import Member
from receipt_ocr.receipts.settings import FOLD_COUNT

if TYPE_CHECKING:
    from receipt_ocr.datasets.experiments import ExperimentStore
    from receipt_ocr.decoding.maps import LazyMaps, LoadMap, MemberMaps
else:  # Kedro reads the signatures to check parameters: names must exist, OpenCV need not
    LazyMaps = LoadMap = MemberMaps = ExperimentStore = Any

__all__ = [
    "choose_postprocess",
    "detect_words",
    "gather_members",
    "join_tables",
    "publish_scores",
    "score_members",
    "score_out_of_fold",
    "score_untuned",
    "vote",
    "weigh_members",
]

Worst = dict[str, dict[str, list[list[float]]]]
"""Subset -> page -> polygons, flat in page pixels; the worst page first."""

WORST_PAGES = 6

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
        others: ExperimentStore,
        *fold_maps: LazyMaps,
    ) -> MemberMaps:
        from receipt_ocr.decoding import members

        def find(member: Member, kind: str) -> LazyMaps:
            if member.is_external:
                return others.maps(str(member.source), member.fold, kind)
            return fold_maps[kinds.index(kind) * FOLD_COUNT + member.fold]

        known = {kind: pages.loc[pages["subset"] == kind, "page"].tolist() for kind in kinds}
        fold_of = dict(zip(folds["page"].astype(str), folds["fold"].astype(int), strict=True))
        sides = pages[["page", "width", "height"]].itertuples(index=False)
        sizes = {page: (int(width), int(height)) for page, width, height in sides}
        today = members.PagesToday(known, fold_of, sizes)
        return members.gather(ensemble, find, today, kinds, tta.chosen.label)

    return gather


def weigh_members(
    ensemble: EnsembleSettings,
    experiments: Experiments,
    members: MemberMaps,
    pages: pd.DataFrame,
    words: pd.DataFrame,
) -> list[float]:
    """How much each member counts, a share of 1."""
    from receipt_ocr.analysis.scores import prepare_truths
    from receipt_ocr.decoding.members import weigh

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
    from receipt_ocr.search.tuned import Voting
    from receipt_ocr.search.tuned import choose_postprocess as choose

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
) -> tuple[pd.DataFrame, pd.DataFrame, Worst]:
    """Every member on its own validation pages: a row a page, one a word, and the worst pages."""
    maps = members.maps["out_of_fold"]
    return _judge(("out_of_fold", "train"), maps, chosen["postprocess"], (pages, words))


def score_members(kind: str) -> Callable[..., tuple[pd.DataFrame, pd.DataFrame, Worst]]:
    """A node that scores every member and the ensemble on one subset.

    It gives a row a member and page, one a word of the ensemble, and its worst pages.
    """

    def score(
        chosen: dict[str, Any],
        members: MemberMaps,
        ensemble_maps: LazyMaps,
        pages: pd.DataFrame,
        words: pd.DataFrame,
    ) -> tuple[pd.DataFrame, pd.DataFrame, Worst]:
        subsets, settings, tables = (kind, kind), chosen["postprocess"], (pages, words)
        alone = _score(subsets, members.maps[kind], settings, tables)
        scores, outcomes, worst = _judge(subsets, {"ensemble": ensemble_maps}, settings, tables)
        return pd.concat([alone, scores], ignore_index=True), outcomes, worst

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
    from receipt_ocr.analysis.scores import tabulate_pages

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


def join_tables(*parts: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Worst]:
    """All scored pages, one row a member and subset, all words, and the worst pages."""
    from receipt_ocr.analysis.scores import tabulate_scores

    pages, words = (pd.concat(tables, ignore_index=True) for tables in (parts[::3], parts[1::3]))
    worst = {subset: found for part in parts[2::3] for subset, found in part.items()}
    scores = tabulate_scores(pages)
    log.info("Scores:\n%s", scores.to_string(index=False, float_format="%.4f"))
    return pages, scores, words, worst


def publish_scores(
    experiments: Experiments,
    tta: TtaVariants,
    chosen: dict[str, Any],
    scores: pd.DataFrame,
    others: ExperimentStore,
) -> None:
    """Write the scores into the MLflow runs of ensemble, experiment and its folds, as columns.

    Members of other experiments keep the figures that theirs has given them.
    """
    from receipt_ocr.analysis.scores import list_hmeans
    from receipt_ocr.tracking.layout import is_tracked
    from receipt_ocr.tracking.runs import log_active, log_experiment, log_figures

    if not is_tracked():
        return
    own = tta.name_variant(experiments.selected)
    figures = list_hmeans(scores, "ensemble")
    log_active(figures)
    log_experiment(own, figures)
    if tta.selected != "none":  # the runs of the folds show their plain look
        return
    for name in chosen["members"]["names"]:
        member = Member.parse(name)
        if member.is_external and str(member.source) != own:
            continue
        run_id = others.training_run(own, member.fold)
        if run_id is not None:
            log_figures(run_id, list_hmeans(scores, name))


def _judge(
    subsets: tuple[str, str],
    members: Mapping[str, LazyMaps],
    postprocess: dict[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame, Worst]:
    """As :func:`_score`, what became of every word, and the worst pages' polygons."""
    from receipt_ocr.analysis.scores import prepare_truths, tabulate_pages
    from receipt_ocr.analysis.word_errors import choose_worst, tabulate_words
    from receipt_ocr.decoding.decode import judge_maps

    settings = PostprocessSettings.model_validate(postprocess)
    truths = prepare_truths(*tables, subsets[1])
    pages, words = [], []
    worst: dict[str, Any] = {}
    for member, maps in members.items():
        judged = judge_maps(maps, truths, settings)
        scores = {page: score for page, (_, score) in judged.items()}
        pages.append(tabulate_pages(member, subsets[0], scores))
        words.append(tabulate_words(member, subsets[0], judged, truths))
        if "/" not in member:  # the folds of others saw the same pages
            worst |= choose_worst(judged, WORST_PAGES)
    flat = {
        page: [polygon.ravel().tolist() for polygon in found]
        for page, (found, _) in choose_worst(worst, WORST_PAGES).items()
    }
    scored, outcomes = (pd.concat(parts, ignore_index=True) for parts in (pages, words))
    return scored, outcomes, {subsets[0]: flat}


def _score(
    subsets: tuple[str, str],
    members: Mapping[str, LazyMaps],
    postprocess: dict[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> pd.DataFrame:
    """Args: the subset's name in the tables of scores, and in those of pages and words."""
    from receipt_ocr.analysis.scores import prepare_truths, tabulate_pages
    from receipt_ocr.decoding.decode import score_maps

    settings = PostprocessSettings.model_validate(postprocess)
    truths = prepare_truths(*tables, subsets[1])
    rows = [
        tabulate_pages(member, subsets[0], score_maps(maps, truths, settings))
        for member, maps in members.items()
    ]
    return pd.concat(rows, ignore_index=True)
