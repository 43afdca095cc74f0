"""The language of a report: every sentence is a template, and other languages replace those."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["say", "speaking"]

_TEXTS: ContextVar[Mapping[str, str] | None] = ContextVar("texts", default=None)


@contextmanager
def speaking(texts: Mapping[str, str]) -> Iterator[None]:
    """Within the block sentences are said in another language.

    Args:
        texts: English template -> its translation, with the same fields; what is not in it stays
            English.
    """
    token = _TEXTS.set(texts)
    try:
        yield
    finally:
        _TEXTS.reset(token)


def say(template: str, **values: Any) -> str:
    """A sentence in the language that is being spoken, its fields filled as `str.format` does."""
    spoken = (_TEXTS.get() or {}).get(template, template)
    return spoken.format(**values) if values else spoken
