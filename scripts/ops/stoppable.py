"""How every script here ends: with an exit code, also when it is stopped."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

STOPPED = 130  # as a shell says of Ctrl-C


class _Interrupt:
    """Ctrl-C: a KeyboardInterrupt once, after that nothing, and later while it is held back."""

    def __init__(self) -> None:
        self._came = False
        self._held = False

    def __call__(self, _number: int, _frame: object) -> None:
        first, self._came = not self._came, True
        if first and not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt


_interrupt = _Interrupt()
uninterrupted = _interrupt.held
"""Holds Ctrl-C back, so that what is told is told whole."""


def run(main: Callable[[], int], *, stopped: str) -> None:
    """Exit with what ``main`` returns; after Ctrl-C, however often it comes, with 130.

    Args:
        main: the script.
        stopped: what the operator reads after Ctrl-C: what may have happened, what to do next.
    """
    # Who started it may want it to go on: deploy.sh does while it rolls back.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # A console of its own: the script's may hold text of which half is on the screen.
        Console(stderr=True, soft_wrap=True).print(f"stopped; {stopped}", style="red", markup=False)
        sys.stdout.flush()
        # On its usual way out Python gives signals back, and Ctrl-C would kill it after all.
        os._exit(STOPPED)
