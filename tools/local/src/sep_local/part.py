"""One part of the stack: its command, environment, readiness probe and drain."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Probe = Callable[[], Awaitable[str | None]]
"""Returns what is still missing, or None when nothing is."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack.

    Args:
        env: its whole environment.
        ready: the parts after it start when this returns None; at once without it.
        drain: awaited before SIGTERM, to let the part finish the calls in progress.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Probe | None = None
    drain: Callable[[], Awaitable[None]] | None = None
