"""Settings of the report; light to import."""

from typing import Literal

from receipt_ocr.config import Config


class ReportSettings(Config):
    """Scope and language of a report."""

    experiments: Literal["all"] | tuple[str, ...] = "all"
    """Laid side by side: ``all`` that have been scored, or their names."""
    language: Literal["english", "korean"] = "english"
