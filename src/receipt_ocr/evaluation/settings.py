"""Settings of the evaluation room; light to import, so that the command line stays fast."""

from typing import Literal, Self

from pydantic import model_validator

from receipt_ocr.config import Config, NonNegative, PositiveInt

__all__ = ["CLEvalSettings", "LeaderboardSettings", "ReportSettings"]

ROUNDING = 1e-4
"""A leaderboard shows four digits or more."""


class CLEvalSettings(Config):
    """Which variant of the CLEval detection score is computed."""

    word_model: Literal["polygon", "quad"] = "polygon"
    """``polygon`` is the contest's, ``quad`` the reference implementation's on 4 points."""
    max_detections: PositiveInt = 500
    """Detections beyond this one (in the given order) are dropped, as the contest does."""
    round_coordinates: bool = True
    """Round coordinates to integers first, as the contest does."""


class LeaderboardSettings(Config):
    """A score that a leaderboard has shown, and the submission that it is of."""

    submission: str | None = None
    """Its id, or a file: the submission itself, or any name that holds the id."""
    hmean: NonNegative | None = None
    """Page-mean H-mean, a fraction of 1."""
    precision: NonNegative | None = None
    """Page mean, as ``hmean``."""
    recall: NonNegative | None = None
    """Page mean, as ``hmean``."""
    percent: bool = False
    """Whether the three numbers are percentages, to be divided by 100."""

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        given = {name: value for name, value in self._given().items() if value is not None}
        most = 100.0 if self.percent else 1.0
        for name, value in given.items():
            if value > most:
                advice = (
                    f"give {value / 100:g}, or add percent=true"
                    if value <= 100 and not self.percent
                    else "look at the leaderboard again"
                )
                raise ValueError(
                    f"leaderboard.{name} must be at most {most:g}, got {value:g}; {advice}"
                )
        if self.percent and 0 < max(given.values(), default=0) <= 1:
            raise ValueError(
                f"leaderboard: {max(given.values()):g} is a fraction or below 1 %; leave percent "
                "out and give fractions"
            )
        if len(given) == 3:
            self._check_agreement()
        return self

    def _check_agreement(self) -> None:
        """By Jensen's inequality the mean of the pages' H cannot exceed the H of the means."""
        score = self.fractions
        precision, recall = score["precision"] or 0.0, score["recall"] or 0.0
        most = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        if (score["hmean"] or 0.0) > most + ROUNDING:
            raise ValueError(
                f"leaderboard.hmean {score['hmean']:g} cannot belong to precision {precision:g} "
                f"and recall {recall:g}, whose harmonic mean is {most:.4f}; look at the "
                "leaderboard again"
            )

    def _given(self) -> dict[str, float | None]:
        return {"hmean": self.hmean, "precision": self.precision, "recall": self.recall}

    @property
    def fractions(self) -> dict[str, float | None]:
        """``hmean``, ``precision`` and ``recall`` as fractions of 1; None where not given."""
        scale = 100.0 if self.percent else 1.0
        return {k: None if v is None else v / scale for k, v in self._given().items()}

    @property
    def named(self) -> str:
        """The submission that was named.

        Raises:
            ValueError: If none was.
        """
        if self.submission is None:
            raise ValueError(
                "which submission? add submission=<id> to --params; --pipeline=submission shows "
                "the id, and the file submission_<id>.csv bears it"
            )
        return self.submission


class ReportSettings(Config):
    """What a report says, and in which language."""

    experiments: Literal["all"] | tuple[str, ...] = "all"
    """Laid side by side: ``all`` that have been scored, or their names."""
    language: Literal["english", "korean"] = "english"
