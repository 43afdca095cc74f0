"""The report of an experiment as Markdown, from the template of its language."""

import re
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from receipt_ocr.analysis.report import Report
from receipt_ocr.report.markdown import FILTERS

Language = Literal["english", "korean"]

LANGUAGE_CODES: dict[Language, str] = {"english": "en", "korean": "ko"}
"""Language of a report -> its code, in the names of templates and in HTML."""


def render_markdown(report: Report, language: Language = "english") -> str:
    """Say everything that a report holds, ending in a line break.

    Raises:
        jinja2.UndefinedError: If a template asks for what a report does not hold.
    """
    template = make_environment().get_template(f"report.{LANGUAGE_CODES[language]}.md.j2")
    text = template.render(report=report)
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"


def make_environment() -> Environment:
    """Set Jinja up: unknown names are errors, and nothing is escaped."""
    environment = Environment(
        loader=PackageLoader("receipt_ocr.report"),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML; the page escapes it
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment
