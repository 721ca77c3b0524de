"""The only module that imports numba's decorators, which have no types."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

_numba: Any = import_module("numba")

# The files that define compiled functions, or constants and functions that these use.
_COMPILED = ("backtest_*.py", "drawdown.py", "jit.py", "kernel_*.py")

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile to machine code on first call; release the GIL; cache on disk if possible.

    Floating point stays strict (no reordering), so that a figure does not depend on how many
    bars are passed at once. On a read-only file system the code is compiled at each start.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = _numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return cast(Function, _numba.njit(**options)(function))
    # numba's cache checks only the function's own file, but compiled code also contains
    # constants and functions of the other files in this package.
    index = compiled._cache._cache_file  # noqa: SLF001 - numba has no public API for this
    index._source_stamp = (index._source_stamp, _sources())  # noqa: SLF001
    return cast(Function, compiled)


@cache
def _sources() -> str:
    """A digest of all files that compiled code may be made from."""
    digest = sha256()
    here = Path(__file__).parent
    for path in sorted(path for pattern in _COMPILED for path in here.glob(pattern)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
