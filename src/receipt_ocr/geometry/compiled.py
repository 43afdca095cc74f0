"""Loops over points and pixels, compiled to machine code by numba.

Used where NumPy would need arrays many times larger than the answer. A function is compiled at
its first call and cached beside its source (``NUMBA_CACHE_DIR`` names another folder), so only the
first run on a machine waits. Compiled loops check nothing.

Numba notices that a cached function is stale only when the function's own file changes. So a
compiled function must not use functions or constants of another of our files; a test checks that.
"""

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

logger = logging.getLogger(__name__)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def compiled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Compile a function; arithmetic stays in the order written, and x / 0 is as in NumPy."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        loops = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder is writable, as in some containers
        logger.info("%s is compiled anew in every process: no cache folder", function.__name__)
        loops = numba.njit(**options)(function)
    return cast(Callable[_Arguments, _Result], loops)
