"""A score that somebody types in; light to import."""

from typing import Self

from pydantic import field_validator, model_validator

from receipt_ocr.config import Config, NonNegative

# A leaderboard shows four digits or more: each number is off by up to 5e-5, which moves their
# harmonic mean by up to 1e-4.
ROUNDING = 1.5e-4
SCORES = ("hmean", "precision", "recall")
AGAIN = "look at the leaderboard again"


class LeaderboardSettings(Config):
    """A score that a leaderboard has shown, and the submission that it is of."""

    submission: str | None = None
    """Its id, or a file: the submission itself, or any name that holds the id."""
    hmean: NonNegative | None = None
    """Mean over pages, as ``precision`` and ``recall``; fractions of 1 unless ``percent``."""
    precision: NonNegative | None = None
    recall: NonNegative | None = None
    percent: bool = False

    @field_validator("submission", mode="before")
    @classmethod
    def _read_digits(cls, value: object) -> object:
        """A command line takes an id without its ``s`` for a number where it looks like one."""
        if isinstance(value, float):  # 12e34: its digits are lost
            raise ValueError(
                f"leaderboard.submission was read as the number {value:g}; write the id with its "
                "first letter: s and 12 digits or letters"
            )
        return str(value) if type(value) is int else value

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        most = 100.0 if self.percent else 1.0
        for name in SCORES:
            value = getattr(self, name)
            if value is not None and value > most:
                is_percentage = value <= 100 and not self.percent
                advice = f"give {value / 100:g}, or add percent=true" if is_percentage else AGAIN
                raise ValueError(
                    f"leaderboard.{name} must be at most {most:g}, got {value:g}; {advice}"
                )
            if value is not None and self.percent and 0 < value <= 1:
                raise ValueError(
                    f"leaderboard.{name}: {value:g} is a fraction or below 1 %; give percentages "
                    "only, or leave percent out and give fractions"
                )
        self._check_agreement()
        return self

    def _check_agreement(self) -> None:
        """By Jensen's inequality the mean of the pages' H cannot exceed the H of the means.

        It rises with both, so one that is not given is taken for the highest that it can be.
        """
        score = self.fractions
        hmean, precision, recall = score["hmean"], score["precision"], score["recall"]
        if hmean is None:
            return
        p, r = (1.0 if value is None else value for value in (precision, recall))
        most = 2 * p * r / (p + r) if p + r else 0.0
        if hmean > most + ROUNDING:
            named = [f"{k} {score[k]:g}" for k in ("precision", "recall") if score[k] is not None]
            whose = "whose harmonic mean is" if len(named) == 2 else "with which it is at most"
            raise ValueError(
                f"leaderboard.hmean {hmean:g} cannot belong to {' and '.join(named)}, {whose} "
                f"{most:.4f}; {AGAIN}"
            )

    @property
    def fractions(self) -> dict[str, float | None]:
        """``hmean``, ``precision`` and ``recall`` as fractions of 1; None where not given."""
        scale, given = 100.0 if self.percent else 1.0, {k: getattr(self, k) for k in SCORES}
        return {k: None if v is None else v / scale for k, v in given.items()}

    @property
    def named(self) -> str:
        """The submission that was named; a ValueError asks for it where none was."""
        if self.submission is None:
            raise ValueError(
                "which submission? add submission=<id> to --params; --pipeline=submission shows "
                "the id, and the file submission_<id>.csv bears it"
            )
        return self.submission
