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
    """The subject of the check, in a few words."""
    message: str
    """The finding, with figures."""
    advice: str = ""
    """The remedy; empty if nothing needs doing."""
