"""Settings of the drawn receipts; light to import."""

from typing import Annotated

from pydantic import Field, model_validator

from receipt_ocr.config import (
    Config,
    NonNegativeInt,
    PositiveInt,
    Probability,
)


class SynthesisSettings(Config):
    """Receipts that the project draws itself; the defaults are the mild pages of the demo."""

    seed: NonNegativeInt = 7
    """The same seed, the same receipts."""
    train: NonNegativeInt = 100
    """Pages of the subset; so are the next two."""
    holdout: NonNegativeInt = 20
    """Pages of the holdout."""
    test: NonNegativeInt = 40
    """Pages of the test."""
    width_low: PositiveInt = 304
    width_high: PositiveInt = 336
    """Page width in upright pixels, drawn between these two; so is the height."""
    height_low: PositiveInt = 432
    """Page height in upright pixels, drawn between this and ``height_high``."""
    height_high: PositiveInt = 464
    words_low: Annotated[int, Field(ge=8)] = 15
    """Words of a page, drawn between this and ``words_high``."""
    words_high: Annotated[int, Field(ge=8)] = 40
    min_text_height: Annotated[int, Field(ge=9)] = 9
    """Height of a digit or capital letter on the flat paper in pixels, at least."""
    korean_share: Probability = 0.7
    """Share of receipts in Korean (with some English, as in life); the others are English."""
    perspective: Probability = 0.4
    """Strengths from 0, nothing, to 1, the worst that a careless photo shows."""
    curl: Probability = 0.3
    """How much the paper bends, 0 to 1."""
    shadow: Probability = 0.5
    """Strength of shadows, 0 to 1."""
    blur: Probability = 0.3
    """Strength of blur, 0 to 1."""
    noise: Probability = 0.3
    """Strength of noise, 0 to 1."""
    quality_low: Annotated[int, Field(ge=20, le=95)] = 70
    """Lowest JPEG quality."""
    quality_high: Annotated[int, Field(ge=20, le=95)] = 92
    """JPEG quality, drawn between these two."""
    exif_share: Probability = 0.25
    """Share of pages stored turned, with the EXIF orientation tag that sets them upright."""

    @model_validator(mode="after")
    def _ranges_are_ordered_and_words_fit(self) -> "SynthesisSettings":
        for name in ("width", "height", "words", "quality"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low must not exceed {name}_high, got {low} > {high}")
        # Measured on many receipts: at these sizes at least every second one fits.
        narrowest = 33 * self.min_text_height
        lowest = (13 + 0.75 * self.words_high) * self.min_text_height
        if self.width_low < narrowest or self.height_low < lowest:
            raise ValueError(
                f"{self.words_high} words of {self.min_text_height} px need pages of "
                f"{narrowest:.0f} x {lowest:.0f} px or more, got width_low {self.width_low} and "
                f"height_low {self.height_low}"
            )
        return self
