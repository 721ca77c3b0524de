"""Writer lease with a fencing token: one replica writes, the others stand by."""

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import WatchError

from sep_kit.clock import Clock
from sep_kit.errors import NotTheWriterError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Pipeline, Valkey, reply, store_errors

_log = get_logger("Lease")

# Acquires the lease if it is free and renews it if this replica holds it. Returns the token, or 0
# if another replica holds the lease. A token is issued once, and a write with an older one is
# refused. Tokens are at least the server time in ms, so that a wiped store does not repeat one.
_ACQUIRE = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(redis.call('HGET', KEYS[1], 'token'))
end
if holder then return 0 end
local now = redis.call('TIME')
local token = math.max(
  now[1] * 1000 + math.floor(now[2] / 1000), (tonumber(redis.call('GET', KEYS[2])) or 0) + 1
)
redis.call('SET', KEYS[2], string.format('%.0f', token))
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', string.format('%.0f', token))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
"""

_RELEASE = """
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""

_TTL_MS = 10_000
RENEW_SECONDS = 2.5
"""Renewal interval: a dead holder is replaced within the lease's 10 s plus this."""


QueueCommands = Callable[[Pipeline], object]
"""Queues commands on a pipeline without executing it."""


class Lease:
    """The lease of one service.

    Args:
        name: name of the service.
        holder: id of this replica, unique across restarts.
    """

    def __init__(self, store: Valkey, name: str, holder: str, clock: Clock) -> None:
        self._store = store
        self._key = keys.lease(name)
        self._counter = keys.lease_counter(name)
        self._clock = clock
        self.name = name
        self.holder = holder
        self._token = 0
        self._until_ns = 0
        self.store_unavailable = False
        """Whether the last renewal failed because Valkey does not answer, so that the holder of
        the lease is unknown."""
        self._acquired_callbacks: list[Callable[[], None]] = []
        self._acquire = store.register_script(_ACQUIRE)
        self._release = store.register_script(_RELEASE)

    @property
    def held(self) -> bool:
        """Whether this replica holds the lease, judged by its own clock."""
        return self._token > 0 and self._clock.now_ns() < self._until_ns

    @property
    def token(self) -> int:
        """The fencing token; 0 while the lease is not held."""
        return self._token if self.held else 0

    @property
    def last_token(self) -> int:
        """The token held last, also while the store is away; 0 once another replica holds it."""
        return self._token

    def on_acquired(self, callback: Callable[[], None]) -> None:
        """Register a callback for each time this replica acquires the lease."""
        self._acquired_callbacks.append(callback)

    async def renew(self) -> None:
        """Acquire or renew the lease.

        Raises:
            StoreUnavailableError: Valkey does not answer; the lease expires by itself.
        """
        started_ns = self._clock.now_ns()
        try:
            token = int(
                await reply(
                    self._acquire(keys=[self._key, self._counter], args=[self.holder, _TTL_MS])
                )
            )
        except StoreUnavailableError:
            self.store_unavailable = True
            raise
        self.store_unavailable = False
        before, self._token = self._token, token
        self._until_ns = started_ns + _TTL_MS * 1_000_000
        if token and token != before:
            _log.info("lease acquired", lease=self.name, holder=self.holder, token=token)
            for callback in self._acquired_callbacks:
                callback()
        elif before and not token:
            _log.warning("lease lost", lease=self.name, holder=self.holder)

    async def release(self) -> None:
        """Release the lease, so that another replica need not wait until it expires."""
        self._token = 0
        await reply(self._release(keys=[self._key], args=[self.holder]))

    async def write(self, queue: QueueCommands) -> list[Any]:
        """Execute the queued commands in one transaction, only if the lease is still held.

        Only adapters call this: a service's loops use named operations of its store port.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was written.
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=True) as pipe:
            # Watch the token counter: acquiring the lease changes it, renewing does not.
            await pipe.watch(self._counter)
            token = await _now(pipe.get(self._counter))
            if not self.held or token is None or int(token) != self._token:
                raise self._not_the_writer()
            pipe.multi()  # type: ignore[no-untyped-call]
            queue(pipe)
            try:
                result: list[Any] = await pipe.execute()
            except WatchError:
                raise self._not_the_writer() from None
            return result

    def _not_the_writer(self) -> NotTheWriterError:
        return NotTheWriterError(f"this replica does not hold the {self.name} lease; try again")


async def _now(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result
