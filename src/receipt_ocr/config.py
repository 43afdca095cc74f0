"""The immutable base of every settings class and the number types they share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Config", "NonNegative", "NonNegativeInt", "Positive", "PositiveInt", "Probability"]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class Config(BaseModel):
    """A block of settings: unknown keys, wrong types, NaN and later changes are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
