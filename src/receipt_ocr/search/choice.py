"""Choose the post-processing that maps are read with: the recipe's, or a search's result."""

import logging
from typing import Literal

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.records import ChosenPostprocess, TunedPostprocess, Voting

log = logging.getLogger(__name__)

NOT_SEARCHED = ("shape", "candidate_order")

Thresholds = Literal["auto", "tuned", "holdout", "recipe"]


def choose_postprocess(
    thresholds: Thresholds,
    recipe: PostprocessSettings,
    voting: Voting | None,
    tuned: TunedPostprocess | None,
    holdout: TunedPostprocess | None = None,
) -> ChosenPostprocess:
    """Choose the settings to read maps with, and note where they come from.

    Args:
        thresholds: ``auto`` takes settings tuned out of fold where there are some that hold.
        recipe: The experiment's own.
        voting: Who predicted the maps; None for a detector that is no member, such as the final
            fit's.
        tuned: Found out of fold; None where tuning never ran.
        holdout: Found on the holdout; None where tuning never ran, or there is no holdout.

    Raises:
        ValueError: If ``thresholds`` names a search that has not run or no longer holds.
    """
    is_holdout = thresholds == "holdout"
    found = None
    if thresholds != "recipe":
        found = _find_tuned(thresholds, recipe, voting, holdout if is_holdout else tuned)
    source: Literal["holdout", "tuned", "recipe"] = "holdout" if is_holdout else "tuned"
    source, settings = ("recipe", recipe) if found is None else (source, found.postprocess)
    log.info("Post-processing (%s): %s", source, settings)
    return ChosenPostprocess(source=source, postprocess=settings, recipe=recipe, members=voting)


def find_staleness(
    tuned: TunedPostprocess,
    voting: Voting | None,
    recipe: PostprocessSettings,
    *,
    with_mean: bool = False,
) -> str | None:
    """Say why tuned settings do not hold for the maps of ``voting``; None where they do.

    ``with_mean``: the maps must also be averaged as those that were searched.
    """
    sources = {} if voting is None else voting.sources
    if sources and not set(sources) & set(tuned.sources):
        return f"{', '.join(tuned.members)} were tuned, not {', '.join(sources)}"
    for member, source in sources.items():
        if tuned.sources.get(member, source) != source:
            return f"{member} has been trained anew since"
    for name in NOT_SEARCHED:
        old, new = getattr(tuned.postprocess, name), getattr(recipe, name)
        if old != new:
            return f"{name} was {old} then, the recipe has {new} now"
    if with_mean and voting is not None:
        if dict(zip(tuned.members, tuned.weights, strict=False)) != voting.shares:
            return "other members or weights were averaged then"
        if tuned.mean != voting.mean:
            return f"the mean was of {tuned.mean} then, it is of {voting.mean} now"
    return None


def _find_tuned(
    thresholds: Thresholds,
    recipe: PostprocessSettings,
    voting: Voting | None,
    found: TunedPostprocess | None,
) -> TunedPostprocess | None:
    """Find the search result that holds for these maps; None: use the recipe's settings."""
    is_holdout = thresholds == "holdout"
    if found is None:
        reason = "nothing is tuned yet" + (", or the data has no holdout" if is_holdout else "")
    elif stale := find_staleness(found, voting, recipe, with_mean=is_holdout):
        reason = stale
    else:
        if voting is not None and set(found.members) != set(voting.names):
            log.warning(
                "Post-processing was tuned on %s, the ensemble is of %s: run tuning again",
                *(", ".join(found.members), ", ".join(voting.names)),
            )
        return found
    if thresholds != "auto":
        raise ValueError(
            f"the thresholds are to be those tuned{' on a holdout' if is_holdout else ''}, but "
            f"{reason}; run --pipeline=tuning first, or set thresholds to recipe"
        )
    level = logging.INFO if found is None else logging.WARNING
    log.log(level, "The recipe's post-processing is used: %s (--pipeline=tuning)", reason)
    return None
