"""The report's sentences in Korean, read from ``korean.json`` beside this file."""

import json
from importlib.resources import files

__all__ = ["TEXTS"]

TEXTS: dict[str, str] = json.loads(files(__package__).joinpath("korean.json").read_text("utf-8"))
"""English template of :func:`receipt_ocr.report.language.say` -> the Korean one."""
