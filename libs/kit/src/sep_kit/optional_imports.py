"""Imports a library without packages that it only uses if they are installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Inside, these packages can't be imported; afterwards they can.

    A library that looks for an optional package takes time and memory for it in every process that
    needs only the library: structlog loads rich for tracebacks in colour, 4 MB and a tenth of the
    start (measured). Packages that have been imported before stay as they are.
    """
    hidden = [name for name in packages if name not in sys.modules]
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]  # None means: not there
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
