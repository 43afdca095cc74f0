"""Loops over points and pixels, compiled to machine code.

For what NumPy could only do on arrays many times larger than the answer. A function is compiled
at its first call and kept beside its source (``NUMBA_CACHE_DIR`` names another folder), so that
only the first run on a machine waits for it. Compiled loops see scalars and arrays: they check
nothing, and what they divide by zero becomes infinite or NaN as in NumPy.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

__all__ = ["compiled"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def compiled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same function in machine code, in IEEE arithmetic as written (nothing reordered)."""
    compile_lazily = numba.njit(cache=True, nogil=True, error_model="numpy")
    return cast(Callable[_Arguments, _Result], compile_lazily(function))
