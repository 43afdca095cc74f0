"""Post-processing that a search has chosen, and when it no longer holds."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

from receipt_ocr.config import Config
from receipt_ocr.decoding.decode import score_maps
from receipt_ocr.decoding.grid_search import GridResult, search_grid
from receipt_ocr.decoding.maps import LazyMaps
from receipt_ocr.decoding.settings import GridSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, score_pages

__all__ = ["TunedPostprocess", "choose_postprocess", "tune_postprocess"]

log = logging.getLogger(__name__)

NOT_SEARCHED = ("min_size", "shape", "candidate_order")


class TunedPostprocess(Config):
    """The outcome of tuning, with what it rests on."""

    postprocess: PostprocessSettings
    members: tuple[int, ...]
    """Folds on whose out-of-fold maps the search ran."""
    sources: dict[int, str]
    """Fold -> fingerprint of the detector that predicted those maps."""
    pages: int
    chosen_hmean: float
    """On the pages that chose the settings."""
    honest_hmean: float | None
    """Each fold at the settings chosen on the others; None with one fold."""
    recipe_hmean: float
    """On the same pages at the recipe's settings."""

    def staleness(
        self, sources: Mapping[int, str] | None, recipe: PostprocessSettings
    ) -> str | None:
        """Why these settings do not hold for other maps; None where they do.

        Args:
            sources: Fold -> fingerprint of the detector behind the maps to be read; None for maps
                of a detector that is no fold.
            recipe: The experiment's settings of today.
        """
        if sources is not None and not set(sources) & set(self.sources):
            return f"folds {list(self.members)} were tuned, not {list(sources)}"
        for fold, source in (sources or {}).items():
            if self.sources.get(fold, source) != source:
                return f"fold {fold} has been trained anew since"
        for name in NOT_SEARCHED:
            old, new = getattr(self.postprocess, name), getattr(recipe, name)
            if old != new:
                return f"{name} was {old} then, the recipe has {new} now"
        return None


def tune_postprocess(
    members: Mapping[int, LazyMaps],
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    recipe: PostprocessSettings,
) -> tuple[TunedPostprocess, GridResult]:
    """Search the grid on the out-of-fold maps of the members.

    Args:
        members: Fold -> maps of the pages that it has not trained on.
        truths: Page -> its words.
        grid: Settings to try.
        recipe: What is not tried, and the settings that win ties.

    Returns:
        The best settings with what they rest on, and every point of the grid.

    Raises:
        ValueError: If maps and truths are of different pages, or there are none.
    """
    fold_of = {page: fold for fold, maps in members.items() for page in maps}
    maps = {page: members[fold][page] for page, fold in fold_of.items()}
    result = search_grid(maps, truths, grid, recipe, fold_of)
    untuned = score_pages(list(score_maps(maps, truths, recipe).values()))
    tuned = TunedPostprocess(
        postprocess=result.best,
        members=tuple(members),
        sources={fold: maps_of_fold.source for fold, maps_of_fold in members.items()},
        pages=len(maps),
        chosen_hmean=result.chosen_hmean,
        honest_hmean=result.honest_hmean,
        recipe_hmean=untuned.hmean,
    )
    return tuned, result


def choose_postprocess(
    thresholds: Literal["auto", "tuned", "recipe"],
    recipe: PostprocessSettings,
    tuned: Mapping[str, Any] | None,
    sources: Mapping[int, str] | None,
) -> tuple[str, PostprocessSettings]:
    """The settings to read maps with, and where they come from.

    Args:
        thresholds: ``auto`` takes tuned settings where there are some that hold.
        recipe: The experiment's own.
        tuned: What tuning has written; None where it never ran.
        sources: Fold -> fingerprint of the detector behind the maps to be read; None for maps of a
            detector that is no fold, such as the final fit's.

    Returns:
        ``tuned`` or ``recipe``, and the settings.

    Raises:
        ValueError: If ``thresholds`` is ``tuned`` but nothing was tuned that holds.
    """
    if thresholds == "recipe":
        return "recipe", recipe
    found = None if tuned is None else TunedPostprocess.model_validate(tuned)
    reason = "nothing is tuned yet" if found is None else found.staleness(sources, recipe)
    if found is None or reason is not None:
        if thresholds == "tuned":
            raise ValueError(
                f"the thresholds are to be 'tuned', but {reason}; run --pipeline=tuning first"
            )
        level = logging.INFO if found is None else logging.WARNING
        log.log(level, "The recipe's post-processing is used: %s (--pipeline=tuning)", reason)
        return "recipe", recipe
    if sources is not None and set(found.members) != set(sources):
        log.warning(
            "Post-processing was tuned on folds %s, the ensemble's are %s: run tuning again",
            list(found.members),
            list(sources),
        )
    return "tuned", found.postprocess
