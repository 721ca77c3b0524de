"""A part of the stack: what to run, and when it is there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Probe = Callable[[], Awaitable[str | None]]
"""Tells what is still missing; None once nothing is."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Its whole environment."""
    ready: Probe | None = None
    """What the parts after it wait for; they start at once if there is none."""
    drain: Callable[[], Awaitable[None]] | None = None
    """Lets it finish what it has begun; awaited before it is asked to stop."""
