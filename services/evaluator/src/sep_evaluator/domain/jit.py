"""The one door to numba, so that its untyped decorators are dealt with in one place."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

_numba: Any = import_module("numba")
_extending: Any = import_module("numba.extending")

# Everything that compiled functions are in, or take constants and functions from.
_COMPILED = ("backtest_*.py", "drawdown.py", "jit.py", "kernel_*.py")

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile to machine code on first call, without the GIL, cached on disk where possible.

    Floating point stays strict (no reordering), so that a figure never depends on
    how many bars were handed over at once. A file system that can't be written to
    costs a compilation at each start, never a failure.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = _numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return cast(Function, _numba.njit(**options)(function))
    # numba takes cached code for good while the function's own file is unchanged; ours also
    # builds in constants and functions of the other files here.
    index = compiled._cache._cache_file  # noqa: SLF001 - there is no public way
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


def _popcount(_context: Any, _word: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return _numba.types.int64(_numba.types.uint64), generate


# One machine instruction that numba has no name for: the number of 1 bits of a uint64.
popcount: Callable[[Any], int] = _extending.intrinsic(_popcount)
