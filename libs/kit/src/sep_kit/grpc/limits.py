"""Limits on what one client may do: writes and failures in a time, streams at the same time.

Writes are charged to the key, after it has been checked; without keys to the client's address.
Calls that are refused for want of a key are charged to the address, in buckets of their own, so
that they use up nothing of what holders of keys may do.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sep_contract import Method

from sep_kit.errors import RateLimitedError, TooManyStreamsError

PERIOD_S = 10.0
"""The limits on calls are per this time."""
ALWAYS = "always"
"""Value of ``Method.unlimited_when``: no call counts."""

_MAX_BUCKETS = 10_000
_MAX_STREAMS = 400
"""Of all clients of one service; less than the proxy's limit on streams."""


class TokenBuckets:
    """A bucket of ``calls`` tokens for each owner, filled again evenly within ``PERIOD_S``.

    Only the ten thousand owners that were seen last have buckets.
    """

    def __init__(self, calls: int, monotonic: Callable[[], float]) -> None:
        self._calls = calls
        self._monotonic = monotonic
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def take(self, owner: object) -> bool:
        """Take a token; False if there is none."""
        now = self._monotonic()
        tokens, seen = self._buckets.get(owner, (float(self._calls), now))
        tokens = min(float(self._calls), tokens + (now - seen) * self._calls / PERIOD_S)
        taken = tokens >= 1
        self._buckets[owner] = (tokens - 1 if taken else tokens, now)
        self._buckets.move_to_end(owner)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return taken


class CallLimits:
    """The limits of one service.

    Args:
        writes: calls of each writing method that one key may make in ten seconds; as many refused
            calls one address.
        streams: streams that one client may have open.
        monotonic: monotonic time in seconds.
    """

    def __init__(self, writes: int, streams: int, monotonic: Callable[[], float]) -> None:
        self._limit = writes
        self._stream_limit = streams
        self._writes = TokenBuckets(writes, monotonic)
        self._failures = TokenBuckets(writes, monotonic)
        self._streams: Counter[str] = Counter()

    def charge(self, method: Method, request: Any, client: str) -> None:
        """Count a write of this client.

        Raises:
            RateLimitedError: it has made too many.
        """
        if not method.writes or _is_unlimited(method, request):
            return
        if not self._writes.take((client, method.path)):
            raise RateLimitedError(
                f"{client} may call this method {self._limit} times in ten seconds "
                "(EDGE_WRITE_LIMIT); retry in a few seconds"
            )

    def charge_failure(self, address: str) -> None:
        """Count a call of this address that was refused for want of a key.

        Raises:
            RateLimitedError: there were too many. A call with a valid key is not affected.
        """
        if not self._failures.take(address):
            raise RateLimitedError(f"too many calls without a valid key from {address}")

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """Hold one of the client's streams.

        Raises:
            TooManyStreamsError: it has too many open, or all clients together have.
        """
        if self._streams[client] >= self._stream_limit:
            raise TooManyStreamsError(
                f"{client} has {self._stream_limit} streams open (EDGE_STREAM_LIMIT): close some"
            )
        if self._streams.total() >= _MAX_STREAMS:
            raise TooManyStreamsError(f"all clients together have {_MAX_STREAMS} streams open")
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]


def _is_unlimited(method: Method, request: Any) -> bool:
    condition = method.unlimited_when
    return condition == ALWAYS or bool(condition and getattr(request, condition, False))
