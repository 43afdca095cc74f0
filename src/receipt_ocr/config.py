"""The immutable base of every settings class and the number types they share."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Config",
    "NonNegative",
    "NonNegativeInt",
    "Positive",
    "PositiveInt",
    "Probability",
    "check_name",
]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class Config(BaseModel):
    """A block of settings: unknown keys, wrong types, NaN and later changes are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def check_name(name: str, key: str) -> None:
    """Check a name that folders are called after, and that other settings refer to.

    Raises:
        ValueError: If it has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"{key}: {name!r} must be of letters, digits, '_', '.' and '-'")
