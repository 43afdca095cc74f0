"""The result of a check: a finding, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One finding, in words."""

    level: Level
    """``problem`` makes a good score impossible or unlikely, ``warning`` costs some of it."""
    subject: str
    """What was checked, in a few words."""
    message: str
    """What was found, with figures."""
    advice: str = ""
    """What to do; empty if nothing needs doing."""
