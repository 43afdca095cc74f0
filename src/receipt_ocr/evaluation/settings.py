"""Settings of CLEval; light to import, so that the command line stays fast."""

from typing import Literal

from receipt_ocr.config import Config, PositiveInt


class CLEvalSettings(Config):
    """Variant of the CLEval detection score."""

    word_model: Literal["polygon", "quad"] = "polygon"
    """``polygon`` is the contest's, ``quad`` the reference implementation's on 4 points."""
    max_detections: PositiveInt = 500
    """Detections beyond this one (in the given order) are dropped, as the contest does."""
    round_coordinates: bool = True
    """Round coordinates to integers first, as the contest does."""
