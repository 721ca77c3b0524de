"""Refuses connections of tests to other machines."""

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_outside: list[str] = []
_armed = False
_installed = False


class OutsideConnectionError(RuntimeError):
    """A test tried to reach another machine. Not an ``OSError``, which callers might handle."""


def is_loopback(address: object) -> bool:
    """Whether a socket address is on this machine; paths and unknown families are."""
    if not isinstance(address, tuple) or not address:
        return True
    host = str(address[0]).partition("%")[0]
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def loopback_only() -> Iterator[list[str]]:
    """Refuse every connection of a Python socket to another machine.

    Yields the list of refused connections, since the code under test may handle the error.
    """
    global _armed, _installed  # noqa: PLW0603 - an audit hook can't be removed
    if not _installed:
        sys.addaudithook(_audit)
        _installed = True
    _armed = True
    try:
        yield _outside
    finally:
        _armed = False


def _audit(event: str, args: tuple[object, ...]) -> None:
    if not _armed or event not in ("socket.connect", "socket.sendto"):
        return
    if not is_loopback(args[1]):
        _outside.append(repr(args[1]))
        raise OutsideConnectionError(f"{event} to {args[1]!r}: tests may only use loopback")
