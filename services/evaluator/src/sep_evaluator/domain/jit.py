"""The one door to numba, so that its untyped decorators are dealt with in one place."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

_numba: Any = import_module("numba")
_extending: Any = import_module("numba.extending")

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile to machine code on first call, without the GIL, cached on disk where possible.

    Floating point stays strict (no reordering), so that a figure never depends on
    how many bars were handed over at once. A file system that can't be written to
    costs a compilation at each start, never a failure.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(Function, _numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast(Function, _numba.njit(**options)(function))


def _popcount(_context: Any, _word: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return _numba.types.int64(_numba.types.uint64), generate


# One machine instruction that numba has no name for: the number of 1 bits of a uint64.
popcount: Callable[[Any], int] = _extending.intrinsic(_popcount)
