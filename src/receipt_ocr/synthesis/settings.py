"""Settings of the synthetic receipts; light to import."""

from typing import Annotated

from pydantic import Field, model_validator

from receipt_ocr.config import Config, NonNegativeInt, PositiveInt, Probability


class SynthesisSettings(Config):
    """Number, size and distortion of the receipts to draw; the demo's by default."""

    seed: NonNegativeInt = 7
    """The same seed gives the same receipts."""
    train: NonNegativeInt = 100
    """Number of training pages."""
    holdout: NonNegativeInt = 20
    """Number of holdout pages."""
    test: NonNegativeInt = 40
    """Number of test pages."""
    width_low: PositiveInt = 304
    """The width of a page in upright pixels is drawn between this and ``width_high``."""
    width_high: PositiveInt = 336
    height_low: PositiveInt = 432
    """The height of a page in upright pixels is drawn between this and ``height_high``."""
    height_high: PositiveInt = 464
    words_low: Annotated[int, Field(ge=8)] = 15
    """The number of words on a page is drawn between this and ``words_high``."""
    words_high: Annotated[int, Field(ge=8)] = 40
    min_text_height: Annotated[int, Field(ge=9)] = 9
    """Smallest height of a digit or capital letter on the flat paper, in pixels."""
    korean_share: Probability = 0.7
    """Share of receipts in Korean (with some English, as in life); the others are English."""
    perspective: Probability = 0.4
    """Strength of tilt and turn: 0 is none, 1 the worst of a careless photo; so are the next."""
    curl: Probability = 0.3
    """Strength of the paper's bend."""
    shadow: Probability = 0.5
    """Strength of shadows."""
    blur: Probability = 0.3
    """Strength of blur."""
    noise: Probability = 0.3
    """Strength of noise."""
    quality_low: Annotated[int, Field(ge=20, le=95)] = 70
    """The JPEG quality is drawn between this and ``quality_high``."""
    quality_high: Annotated[int, Field(ge=20, le=95)] = 92
    exif_share: Probability = 0.25
    """Share of pages that are stored turned, with an EXIF orientation that sets them upright."""

    @model_validator(mode="after")
    def _ranges_are_ordered_and_words_fit(self) -> "SynthesisSettings":
        for name in ("width", "height", "words", "quality"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low must not exceed {name}_high, got {low} > {high}")
        # Measured on many receipts: at these sizes, at least every second composition fits.
        narrowest = 33 * self.min_text_height
        lowest = (13 + 0.75 * self.words_high) * self.min_text_height
        if self.width_low < narrowest or self.height_low < lowest:
            raise ValueError(
                f"{self.words_high} words of {self.min_text_height} px need pages of "
                f"{narrowest:.0f} x {lowest:.0f} px or more, got width_low {self.width_low} and "
                f"height_low {self.height_low}"
            )
        return self
