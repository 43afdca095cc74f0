"""In which ways the network looks at a page; light to import."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from receipt_ocr.config import Config, check_name
from receipt_ocr.decoding.settings import MeanKind

__all__ = ["TtaSettings", "TtaVariants"]


class TtaSettings(Config):
    """Test-time augmentation: in which further ways the network looks at a page.

    At each scale it sees the page upright, and each flip and turn of it.
    """

    flips: tuple[Literal["horizontal", "vertical"], ...] = ()
    """Mirrored left to right, or top to bottom."""
    turns: tuple[Literal[90, 180, 270], ...] = ()
    """Degrees anticlockwise."""
    scales: Annotated[tuple[Annotated[float, Field(ge=0.25, le=4.0)], ...], Field(min_length=1)] = (
        1.0,
    )
    """Of the page's size, against the one that the detector was trained for."""
    mean: MeanKind = "probability"
    """What is averaged over the views."""

    @field_validator("flips", "turns", "scales")
    @classmethod
    def _values_differ(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"each value must occur once, got {list(values)}")
        return values

    @property
    def label(self) -> str:
        """What tells its maps from those of other settings; empty for a plain look."""
        if self == TtaSettings():
            return ""
        parts = [*self.flips, *map(str, self.turns), *(f"x{scale:g}" for scale in self.scales)]
        return ",".join([*parts, *(["logit"] if self.mean == "logit" else [])])


class TtaVariants(Config):
    """Named ways of test-time augmentation, and the one that is used."""

    selected: str
    """One of ``variants``; ``none`` is a plain look."""
    variants: dict[str, TtaSettings]

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        for name in self.variants:
            check_name(name, "test_time.variants")
        if self.selected not in self.variants:
            known = ", ".join(sorted(self.variants))
            raise ValueError(
                f"unknown test-time augmentation {self.selected!r}; known are {known} (add a "
                "block under test_time.variants)"
            )
        if self.variants.get("none", TtaSettings()) != TtaSettings():
            raise ValueError("test_time.variants.none is a plain look at the page: leave it empty")
        return self

    @property
    def chosen(self) -> TtaSettings:
        """The one that is used."""
        return self.variants[self.selected]

    def name_variant(self, experiment: str) -> str:
        """What the maps and reports of an experiment are named after: ``lite0@flips``."""
        return experiment if self.selected == "none" else f"{experiment}@{self.selected}"
