"""Loops over points and pixels, compiled to machine code.

For what NumPy could only do on arrays many times larger than the answer. A function is compiled
at its first call and kept beside its source (``NUMBA_CACHE_DIR`` names another folder), so that
only the first run on a machine waits for it. Compiled loops see scalars and arrays: they check
nothing, and what they divide by zero becomes infinite or NaN as in NumPy.

What is kept counts as old when the function's own file changes, but not when another does. So a
compiled function uses no function or constant of another of our files; a test sees to it.
"""

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

__all__ = ["compiled"]

logger = logging.getLogger(__name__)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def compiled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same function in machine code, in IEEE arithmetic as written (nothing reordered)."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        loops = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written to, as in some containers
        logger.info("%s is compiled anew in every process: no cache folder", function.__name__)
        loops = numba.njit(**options)(function)
    return cast(Callable[_Arguments, _Result], loops)
