"""Which post-processing maps are read with: the recipe's, or what a search has found for them."""

import logging
from collections.abc import Iterable
from typing import Literal

from receipt_ocr.decoding.settings import PostprocessSettings
from receipt_ocr.records import ChosenPostprocess, TunedPostprocess, Voting

__all__ = ["choose_postprocess", "find_staleness"]

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
    """The settings to read maps with, and where they come from.

    Args:
        thresholds: ``auto`` takes settings tuned out of fold where there are some that hold.
        recipe: The experiment's own.
        voting: Who predicted the maps; None for a detector that is no member, such as the final
            fit's. What was tuned on a mean of maps holds for the same mean only.
        tuned: Found out of fold; None where tuning never ran.
        holdout: Found on the holdout; None where tuning never ran, or there is no holdout.

    Raises:
        ValueError: If ``thresholds`` names a search that has not run or no longer holds.
    """
    unsearched = ChosenPostprocess(
        source="recipe", postprocess=recipe, recipe=recipe, members=voting
    )
    if thresholds == "recipe":
        return unsearched
    is_holdout = thresholds == "holdout"
    found = holdout if is_holdout else tuned
    reason: str | None
    if found is None:
        reason = "nothing is tuned yet" + (", or the data has no holdout" if is_holdout else "")
    else:
        reason = find_staleness(found, voting, recipe, with_mean=is_holdout)
    if thresholds == "auto" and reason is not None:
        level = logging.INFO if found is None else logging.WARNING
        log.log(level, "The recipe's post-processing is used: %s (--pipeline=tuning)", reason)
        return unsearched
    if found is None or reason is not None:
        raise ValueError(
            f"the thresholds are to be those tuned{' on a holdout' if is_holdout else ''}, but "
            f"{reason}; run --pipeline=tuning first, or set thresholds to recipe"
        )
    if voting is not None and set(found.members) != set(voting.names):
        log.warning(
            "Post-processing was tuned on %s, the ensemble is of %s: run tuning again",
            *(_list(found.members), _list(voting.names)),
        )
    source: Literal["holdout", "tuned"] = "holdout" if is_holdout else "tuned"
    return unsearched.model_copy(update={"source": source, "postprocess": found.postprocess})


def find_staleness(
    tuned: TunedPostprocess,
    voting: Voting | None,
    recipe: PostprocessSettings,
    *,
    with_mean: bool = False,
) -> str | None:
    """Why tuned settings do not hold for other maps; None where they do.

    Args:
        tuned: The settings, with what they rest on.
        voting: Who predicted the maps to be read; None for a detector that is no member.
        recipe: The experiment's settings of today.
        with_mean: Whether the maps must also be averaged as those that were searched.
    """
    sources = {} if voting is None else voting.sources
    if sources and not set(sources) & set(tuned.sources):
        return f"{_list(tuned.members)} were tuned, not {_list(sources)}"
    for member, source in sources.items():
        if tuned.sources.get(member, source) != source:
            return f"{member} has been trained anew since"
    for name in NOT_SEARCHED:
        old, new = getattr(tuned.postprocess, name), getattr(recipe, name)
        if old != new:
            return f"{name} was {old} then, the recipe has {new} now"
    return None if voting is None or not with_mean else _find_other_mean(tuned, voting)


def _find_other_mean(tuned: TunedPostprocess, voting: Voting) -> str | None:
    shares = dict(zip(voting.names, voting.weights, strict=True))
    if dict(zip(tuned.members, tuned.weights, strict=False)) != shares:
        return "other members or weights were averaged then"
    if tuned.mean != voting.mean:
        return f"the mean was of {tuned.mean} then, it is of {voting.mean} now"
    return None


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
