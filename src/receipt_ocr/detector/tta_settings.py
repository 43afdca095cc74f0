"""Settings of test-time augmentation (TTA); light to import."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from receipt_ocr.config import Config, check_name
from receipt_ocr.decoding.settings import MeanKind
from receipt_ocr.identity import PLAIN_VIEW, ExperimentId


class TtaSettings(Config):
    """Views of a page that are predicted: at each scale upright, and each flip and turn."""

    flips: tuple[Literal["horizontal", "vertical"], ...] = ()
    """Mirrored left to right, or top to bottom."""
    turns: tuple[Literal[90, 180, 270], ...] = ()
    """Degrees anticlockwise."""
    scales: Annotated[tuple[Annotated[float, Field(ge=0.25, le=4.0)], ...], Field(min_length=1)] = (
        1.0,
    )
    """Size of the page, against the one that the detector was trained for."""
    mean: MeanKind = "probability"
    """Kind of mean over the views."""

    @field_validator("flips", "turns", "scales")
    @classmethod
    def _values_differ(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"each value must occur once, got {list(values)}")
        return values

    @property
    def label(self) -> str:
        """Text that tells maps of these settings from others; empty for the plain view.

        It is stored with every map: a change of it would make all stored maps look foreign.
        """
        if self == TtaSettings():
            return ""
        parts = [*self.flips, *map(str, self.turns), *(f"x{scale:g}" for scale in self.scales)]
        return ",".join([*parts, *(["logit"] if self.mean == "logit" else [])])


class TtaVariants(Config):
    """Named TTA settings, and the selected one."""

    selected: str
    """A key of ``variants``; ``none`` is the plain view."""
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
        if self.variants.get(PLAIN_VIEW, TtaSettings()) != TtaSettings():
            raise ValueError("test_time.variants.none is the plain view of a page: leave it empty")
        return self

    @property
    def chosen(self) -> TtaSettings:
        """The selected settings."""
        return self.variants[self.selected]

    def name_variant(self, experiment: str) -> str:
        """Name the maps and reports of an experiment under the selected view: ``lite0@flips``."""
        return str(ExperimentId(experiment, self.selected))
