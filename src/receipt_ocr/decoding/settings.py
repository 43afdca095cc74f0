"""Settings of decoding and ensembles; light to import, so that the command line stays fast."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, field_validator, model_validator

from receipt_ocr.config import Config, NonNegative, Positive, PositiveInt, Probability
from receipt_ocr.identity import ExperimentId, Member, fold_name
from receipt_ocr.receipts.settings import FOLD_COUNT

MeanKind = Literal["probability", "logit"]
"""Average probabilities, or their logits ``log(p / (1 - p))``."""


class PostprocessSettings(Config):
    """Steps from a probability map to polygons."""

    thresh: Probability = 0.29
    """Binarises the map: text is where the probability is greater."""
    box_thresh: Probability = 0.25
    """Candidates whose mean probability is lower are dropped."""
    unclip_ratio: Positive = 2.0
    """Grows the shrunk text kernel by ``area * unclip_ratio / perimeter`` pixels."""
    max_candidates: PositiveInt = 600
    """At most this many candidates a page."""
    min_size: NonNegative = 5.0
    """Drops polygons whose minimum-area box has a shorter side under this (map pixels)."""
    shape: Literal["polygon", "box"] = "polygon"
    """Outlines as found, or the smallest rotated rectangles."""
    candidate_order: Literal["score", "contour"] = "score"
    """``max_candidates`` keeps the best scores, or the first contours (the contest's)."""


class EnsembleSettings(Config):
    """Members of an ensemble, the mean of their maps, and the thresholds it is read at."""

    members: str | int | tuple[str | int, ...] = "all"
    """Voters: ``all`` folds of the selected experiment, single ones (``0``), those of another
    experiment (``convnext_tiny/0``, ``convnext_tiny/all``), a name in ``sets``, or a list of such;
    ``"0+2"`` is taken as a list too."""
    sets: dict[str, tuple[str | int, ...]] = Field(default_factory=dict)
    """Name -> members, to be named in ``members``."""
    weights: Literal["equal", "out_of_fold"] | tuple[NonNegative, ...] = "equal"
    """``equal``, by the members' H-mean ``out_of_fold``, or one number a member in their order."""
    mean: MeanKind = "probability"
    """Average probabilities at each pixel, or their logits."""
    thresholds: Literal["auto", "tuned", "holdout", "recipe"] = "auto"
    """Post-processing found by tuning on out-of-fold maps, by tuning the ensemble on the holdout,
    or the recipe's; ``auto``: tuned where there is one."""

    @field_validator("weights", mode="before")
    @classmethod
    def _none_is_equal(cls, value: object) -> object:
        return "equal" if value is None else value

    @model_validator(mode="after")
    def _members_fit_weights(self) -> "EnsembleSettings":
        for name in self.sets:
            if name == "all" or "/" in name or "+" in name or _fold_of(name) is not None:
                raise ValueError(f"ensemble.sets: {name!r} means something else already")
        for name, listed in self.sets.items():
            self._resolve(listed, f"ensemble.sets.{name}")
        count = len(self.voters)
        if isinstance(self.weights, tuple):
            if len(self.weights) != count:
                raise ValueError(
                    f"weights must be one a member, got {len(self.weights)} for {count}"
                )
            if not sum(self.weights) > 0:
                raise ValueError(f"weights must sum to more than 0, got {list(self.weights)}")
        return self

    @property
    def voters(self) -> tuple[Member, ...]:
        """The members one by one."""
        listed = self.members if isinstance(self.members, tuple) else (self.members,)
        return self._resolve(listed, "ensemble.members")

    def _resolve(self, listed: Iterable[str | int], key: str) -> tuple[Member, ...]:
        words = [word.strip() for entry in listed for word in str(entry).split("+")]
        members = [member for word in words for member in self._read(word, key)]
        if not members or len(set(members)) < len(members):
            names = [str(member) for member in members]
            raise ValueError(f"{key} must name a fold or more, none twice, got {names}")
        return tuple(members)

    def _read(self, word: str, key: str) -> tuple[Member, ...]:
        if word in self.sets and key == "ensemble.members":
            return self._resolve(self.sets[word], f"ensemble.sets.{word}")
        experiment, _, last = word.rpartition("/")
        source = ExperimentId.parse(experiment) if experiment else None
        if last == "all":
            return tuple(Member(source, fold) for fold in range(FOLD_COUNT))
        fold = _fold_of(last)
        if experiment.endswith("@none"):
            raise ValueError(f"{key}: {word!r} has no augmentation; leave @none out")
        if fold is None:
            known = "".join(f", {name}" for name in self.sets)
            raise ValueError(
                f"{key}: {word!r} is no member; one is all, a fold from 0 to {FOLD_COUNT - 1}"
                f"{known}, or of another experiment: convnext_tiny/all, convnext_tiny/0"
            )
        return (Member(source, fold),)


def _fold_of(word: str) -> int | None:
    """Read ``0`` or ``fold_0``; None for any other word."""
    folds = {name: fold for fold in range(FOLD_COUNT) for name in (str(fold), fold_name(fold))}
    return folds.get(word)
