"""How the processes that a test starts treat SIGINT when they begin."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigint_of_children(*, ignored: bool = False) -> Iterator[None]:
    """Start processes with the default action of SIGINT, or with SIGINT ignored.

    A child inherits ignored signals. A test run that itself ignores SIGINT, in a background job or
    under nohup, would otherwise start every process that way. Works in the main thread only.
    """
    # A Python handler counts as a handled signal: exec resets it to the default action.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
