"""Post-processing that a search has chosen, and when it no longer holds."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from receipt_ocr.config import Config
from receipt_ocr.decoding.decode import score_maps
from receipt_ocr.decoding.ensemble import vote, vote_where_known
from receipt_ocr.decoding.grid_search import GridResult, search_grid
from receipt_ocr.decoding.maps import LoadMap
from receipt_ocr.decoding.members import MemberMaps
from receipt_ocr.decoding.plateau import Plateau, find_plateau
from receipt_ocr.decoding.refine import refine_settings
from receipt_ocr.decoding.settings import EnsembleSettings, GridSettings, PostprocessSettings
from receipt_ocr.evaluation.cleval import TruthWords, score_pages

__all__ = [
    "Search",
    "TunedPostprocess",
    "choose_postprocess",
    "tune_on_holdout",
    "tune_out_of_fold",
]

log = logging.getLogger(__name__)

NOT_SEARCHED = ("shape", "candidate_order")


class PlateauSettings(Config):
    """How far one setting may move from the chosen value; see :class:`Plateau`."""

    lowest: float
    highest: float
    is_open_below: bool
    is_open_above: bool
    hmean: float


class TunedPostprocess(Config):
    """The outcome of tuning, with what it rests on."""

    postprocess: PostprocessSettings
    members: tuple[str, ...]
    """Whose maps were searched on."""
    sources: dict[str, str]
    """Member -> fingerprint of the detector that predicted those maps."""
    pages: int
    chosen_hmean: float
    """On the pages that chose the settings."""
    honest_hmean: float | None = None
    """Each fold at the settings chosen on the others; None with one fold, or on a holdout."""
    recipe_hmean: float
    """On the same pages at the recipe's settings."""
    grid_hmean: float | None = None
    """On the same pages at the best point of the grid, where that was refined."""
    transferred_hmean: float | None = None
    """Of a search on the holdout: on its pages, at the settings tuned out of fold."""
    plateau: dict[str, PlateauSettings] = Field(default_factory=dict)
    """Setting -> how far it alone may move before H-mean falls by 0.0005."""

    def staleness(
        self, sources: Mapping[str, str] | None, recipe: PostprocessSettings
    ) -> str | None:
        """Why these settings do not hold for other maps; None where they do.

        Args:
            sources: Member -> fingerprint of the detector behind the maps to be read; None for
                maps of a detector that is no member.
            recipe: The experiment's settings of today.
        """
        if sources is not None and not set(sources) & set(self.sources):
            return f"{_list(self.members)} were tuned, not {_list(sources)}"
        for member, source in (sources or {}).items():
            if self.sources.get(member, source) != source:
                return f"{member} has been trained anew since"
        for name in NOT_SEARCHED:
            old, new = getattr(self.postprocess, name), getattr(recipe, name)
            if old != new:
                return f"{name} was {old} then, the recipe has {new} now"
        return None


Search = tuple[TunedPostprocess, list[dict[str, float]]]
"""What was found, and every point that was tried."""


def tune_out_of_fold(
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    ensemble: EnsembleSettings,
    recipe: PostprocessSettings,
) -> Search:
    """Search on maps of pages that their detectors have not trained on.

    Where members of several experiments know a page out of fold, the mean of their maps is
    searched.

    Args:
        members: With their out-of-fold maps.
        truths: Page -> its words.
        grid: Settings to try.
        ensemble: How maps are averaged.
        recipe: What is not tried, and the settings that win ties.

    Raises:
        ValueError: If maps and truths are of different pages, or there are none.
    """
    own = members.maps["out_of_fold"]
    fold_of = {page: members.folds[name] for name, maps in own.items() for page in maps}
    maps = vote_where_known(own, ensemble.mean)
    return _search(members, maps, truths, grid, recipe, fold_of)


def tune_on_holdout(  # noqa: PLR0913, PLR0917  # what a search rests on
    members: MemberMaps,
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    ensemble: EnsembleSettings,
    recipe: PostprocessSettings,
    weights: list[float],
    tuned: PostprocessSettings,
) -> Search:
    """Search on the ensemble's own maps of the holdout pages.

    Maps of one detector are sharper than a mean of several: thresholds tuned out of fold may not
    be the ensemble's best.

    Args:
        members: With their holdout maps.
        truths: Holdout page -> its words.
        grid: Settings to try.
        ensemble: How maps are averaged.
        recipe: What is not tried, and the settings that win ties.
        weights: One a member.
        tuned: Found out of fold; their score on the same pages is noted.

    Raises:
        ValueError: If maps and truths are of different pages, or there are none.
    """
    maps = vote(members.maps["holdout"], weights, ensemble.mean)
    found, rows = _search(members, maps, truths, grid, recipe, None)
    return found.model_copy(update={"transferred_hmean": _score(maps, truths, tuned)}), rows


def _search(  # noqa: PLR0913, PLR0917  # what a search rests on
    members: MemberMaps,
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    recipe: PostprocessSettings,
    folds: Mapping[str, int] | None,
) -> Search:
    result = search_grid(maps, truths, grid, recipe, folds)
    best, chosen, honest, rows = _refine(result, maps, truths, grid, folds)
    plateau = find_plateau(maps, truths, best, grid)
    found = TunedPostprocess(
        postprocess=best,
        members=tuple(members.names),
        sources=dict(members.sources),
        pages=len(maps),
        chosen_hmean=chosen,
        honest_hmean=honest,
        recipe_hmean=_score(maps, truths, recipe),
        grid_hmean=result.chosen_hmean if grid.refine.trials else None,
        plateau={name: _note(one) for name, one in plateau.items()},
    )
    return found, rows


def _refine(
    result: GridResult,
    maps: Mapping[str, LoadMap],
    truths: Mapping[str, TruthWords],
    grid: GridSettings,
    folds: Mapping[str, int] | None,
) -> tuple[PostprocessSettings, float, float | None, list[dict[str, float]]]:
    rows = list(result.rows)
    if not grid.refine.trials:
        return result.best, result.chosen_hmean, result.honest_hmean, rows
    starts = result.fold_choices
    refined = refine_settings(maps, truths, result.best, grid, folds, starts)
    rows += [dict(row) for row in refined.rows]
    return refined.best, refined.chosen_hmean, refined.honest_hmean, rows


def _score(
    maps: Mapping[str, LoadMap], truths: Mapping[str, TruthWords], settings: PostprocessSettings
) -> float:
    return score_pages(list(score_maps(maps, truths, settings).values())).hmean


def _note(plateau: Plateau) -> PlateauSettings:
    return PlateauSettings(
        lowest=plateau.lowest,
        highest=plateau.highest,
        is_open_below=plateau.is_open_below,
        is_open_above=plateau.is_open_above,
        hmean=plateau.hmean,
    )


def choose_postprocess(
    thresholds: Literal["auto", "tuned", "holdout", "recipe"],
    recipe: PostprocessSettings,
    tuned: Mapping[str, Any] | None,
    sources: Mapping[str, str] | None,
    holdout: Mapping[str, Any] | None = None,
) -> tuple[str, PostprocessSettings]:
    """The settings to read maps with, and where they come from.

    Args:
        thresholds: ``auto`` takes settings tuned out of fold where there are some that hold.
        recipe: The experiment's own.
        tuned: What tuning out of fold has written; None where it never ran.
        sources: Member -> fingerprint of the detector behind the maps to be read; None for maps of
            a detector that is no member, such as the final fit's.
        holdout: What tuning the ensemble on the holdout has written; None or empty where it never
            ran, or there is no holdout.

    Returns:
        ``tuned``, ``holdout`` or ``recipe``, and the settings.

    Raises:
        ValueError: If ``thresholds`` names a search that has not run or no longer holds.
    """
    if thresholds == "recipe":
        return "recipe", recipe
    searched = holdout if thresholds == "holdout" else tuned
    found = TunedPostprocess.model_validate(searched) if searched else None
    reason = "nothing is tuned yet" if found is None else found.staleness(sources, recipe)
    if found is None or reason is not None:
        if thresholds != "auto":
            where = " on a holdout" if thresholds == "holdout" else ""
            raise ValueError(
                f"the thresholds are to be those tuned{where}, but {reason}; run "
                "--pipeline=tuning first, or set thresholds to recipe"
            )
        level = logging.INFO if found is None else logging.WARNING
        log.log(level, "The recipe's post-processing is used: %s (--pipeline=tuning)", reason)
        return "recipe", recipe
    if sources is not None and set(found.members) != set(sources):
        log.warning(
            "Post-processing was tuned on %s, the ensemble is of %s: run tuning again",
            _list(found.members),
            _list(sources),
        )
    return "holdout" if thresholds == "holdout" else "tuned", found.postprocess


def _list(names: Any) -> str:
    return ", ".join(names)
