"""What a terminal shows of a command: one message for an error, and no chatter."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from kedro.config import BadConfigException, MissingConfigException
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

__all__ = ["PlainCommand", "plain_errors"]

TRACEBACK = "RECEIPT_OCR_TRACEBACK"

_CONFIGURATION_ERRORS = (
    BadConfigException,
    MissingConfigException,
    OmegaConfBaseException,
    YAMLError,
)
_USER_ERRORS = (*_CONFIGURATION_ERRORS, DatasetError, ParameterValidationError, ValueError, OSError)

_LINKS = re.compile(r"\n *For further information visit https://errors\.pydantic\.dev\S*")
"""Lines of a validation error that lead to pages on Python types, not on these settings."""

_TALKERS = (
    "kedro.pipeline.node",
    "kedro.runner.parallel_runner",
    "kedro.runner.sequential_runner",
    "kedro.runner.thread_runner",
)
_CHATTER = ("Node %s failed", "No nodes ran", "There are ", "Using synchronous mode")
"""How the messages begin that repeat the error, or advise on what is no matter here."""


class PlainCommand(click.Command):
    """A command whose options and work end in one message where users' input is at fault."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        with plain_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Do the work."""
        with plain_errors():
            return super().invoke(ctx)


@contextmanager
def plain_errors() -> Iterator[None]:
    """What users' data or settings can cause ends as one message, not as a traceback.

    Raises:
        click.ClickException: In place of such an error.
    """
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
    if isinstance(error, _CONFIGURATION_ERRORS):
        if isinstance(error, YAMLError) and error.__cause__ is not None:
            lines.append(str(error.__cause__))  # names what is wrong with the line
        lines.append("Correct that place in the folder conf, or the --params that lead there.")
    lines.append(f"({type(error).__name__}; {TRACEBACK}=1 shows where it came from)")
    return _LINKS.sub("", "\n".join(lines))
