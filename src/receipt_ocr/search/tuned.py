"""Post-processing that a search has chosen, and when it no longer holds."""

import logging
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field

from receipt_ocr.config import Config
from receipt_ocr.decoding.settings import MeanKind, PostprocessSettings

__all__ = [
    "PlateauSettings",
    "TunedPostprocess",
    "Voting",
    "choose_postprocess",
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
    mean: MeanKind = "probability"
    """How the members' maps were averaged."""
    weights: tuple[float, ...] = ()
    """One a member."""
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

    def other_mean(self, voting: "Voting | None") -> str | None:
        """Why these settings, found on a mean of maps, do not hold for another mean."""
        if voting is None:
            return None
        if dict(zip(self.members, self.weights, strict=False)) != dict(voting.weights):
            return "other members or weights were averaged then"
        if self.mean != voting.mean:
            return f"the mean was of {self.mean} then, it is of {voting.mean} now"
        return None


class Voting(NamedTuple):
    """How members are averaged."""

    mean: MeanKind
    weights: Mapping[str, float]
    """Member -> its share."""


def choose_postprocess(  # noqa: PLR0913, PLR0917  # all that a choice rests on
    thresholds: Literal["auto", "tuned", "holdout", "recipe"],
    recipe: PostprocessSettings,
    tuned: Mapping[str, Any] | None,
    sources: Mapping[str, str] | None,
    holdout: Mapping[str, Any] | None = None,
    voting: Voting | None = None,
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
        voting: How the members are averaged: what was tuned on a mean holds for that mean only.

    Returns:
        ``tuned``, ``holdout`` or ``recipe``, and the settings.

    Raises:
        ValueError: If ``thresholds`` names a search that has not run or no longer holds.
    """
    if thresholds == "recipe":
        return "recipe", recipe
    searched = holdout if thresholds == "holdout" else tuned
    found = TunedPostprocess.model_validate(searched) if searched else None
    if found is not None:
        reason = found.staleness(sources, recipe)
        reason = reason or (found.other_mean(voting) if thresholds == "holdout" else None)
    else:
        reason = "nothing is tuned yet" if searched is None else "the data has no holdout"
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
