"""Shared by all commands: one message for an error, no chatter, and the option --params."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from kedro.config import BadConfigException, MissingConfigException
from kedro.framework.cli.utils import _split_params
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

TRACEBACK = "RECEIPT_OCR_TRACEBACK"
"""Environment variable that shows tracebacks of users' errors."""

_CONFIGURATION = (BadConfigException, MissingConfigException, OmegaConfBaseException, YAMLError)
_USER_ERRORS = (*_CONFIGURATION, DatasetError, ParameterValidationError, ValueError, OSError)

_LINKS = re.compile(r"\n *For further information visit https://errors\.pydantic\.dev\S*")
"""Lines of a validation error with links to pages on Python types, not on these settings."""

_TALKERS = (
    "kedro.pipeline.node",
    *(f"kedro.runner.{kind}_runner" for kind in ("parallel", "sequential", "thread")),
)
_CHATTER = ("Node %s failed", "No nodes ran", "There are ", "Using synchronous mode")
"""Starts of messages that repeat the error, or that advise on Kedro's own options."""


class PlainCommand(click.Command):
    """A command that reports errors in users' input as one message, without a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        with plain_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Do the work."""
        with plain_errors():
            return super().invoke(ctx)


def params_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option ``--params``, read as ``kedro run`` reads it."""
    return click.option(
        "--params", default="", callback=_split_params, metavar="KEY=VALUE,...", help=help_text
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors that users' data or settings can cause into one click.ClickException."""
    if os.environ.get(TRACEBACK):
        yield
        return
    loggers = [logging.getLogger(name) for name in _TALKERS]
    for logger in loggers:
        logger.addFilter(_is_news)
    try:
        yield
    except _USER_ERRORS as error:
        raise click.ClickException(_describe(error)) from error
    finally:
        for logger in loggers:
            logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_CHATTER)


def _describe(error: Exception) -> str:
    lines = [str(error), *getattr(error, "__notes__", [])]
    if isinstance(error, _CONFIGURATION):
        if isinstance(error, YAMLError) and error.__cause__ is not None:
            lines.append(str(error.__cause__))  # names what is wrong with the line
        lines.append("Correct that place in the folder conf, or the --params that lead there.")
    lines.append(f"({type(error).__name__}; {TRACEBACK}=1 shows where it came from)")
    return _LINKS.sub("", "\n".join(lines))
