"""The immutable base class of all settings, and the number types they share."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class Config(BaseModel):
    """Base class of a block of settings; rejects unknown keys, wrong types, NaN and changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def check_name(name: str, key: str) -> None:
    """Check a name that becomes the name of a folder.

    Raises:
        ValueError: If it has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"{key}: {name!r} may have only letters, digits, '_', '.' and '-'")
