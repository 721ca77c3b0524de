"""Ctrl-C ends a command with one line and exit code 130, however often it is pressed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it: 128 + SIGINT."""


class _InterruptHandler:
    """Handles SIGINT: raises KeyboardInterrupt the first time and ignores all further signals.

    A signal that arrives inside ``deferred()`` raises when that block ends.
    """

    def __init__(self) -> None:
        self._received = False
        self._deferring = False

    def __call__(self, _number: int, _frame: object) -> None:
        first, self._received = not self._received, True
        if first and not self._deferring:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._received:
            raise KeyboardInterrupt


_handler = _InterruptHandler()
deferred_interrupts = _handler.deferred
"""Context manager that defers Ctrl-C to its end, so that a result is printed completely."""


def run_interruptible(main: Callable[[], int], message: str) -> None:
    """Run ``main`` and exit the process with its exit code, or with 130 after Ctrl-C.

    Args:
        main: the command; returns its exit code.
        message: printed after Ctrl-C: what may have happened and what to do next.
    """
    # A caller that started this process with SIGINT ignored wants it to go on: deploy.sh does
    # that during a rollback.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # A new console: the buffer of the command's own may hold half-printed text.
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"stopped; {message}", style="red", markup=False)
        sys.stdout.flush()
        # A normal exit restores Python's default SIGINT handler while it shuts down, and another
        # Ctrl-C at that moment would kill the process with a different exit status.
        os._exit(INTERRUPTED)
