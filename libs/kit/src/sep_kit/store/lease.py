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
# - A waiting replica records that with each attempt. A holder that does not work gives the lease
#   to it, with a new token; without one it stays, since a poor holder is better than none.
# - Damage heals: a key of another type is set aside, a lost or smaller counter is written again, a
#   token that can't be read is replaced by a new one, and a lease without an end gets one.
_ACQUIRE = """
local holder_id, ttl, working = ARGV[1], tonumber(ARGV[2]), ARGV[3]
for i, wanted in ipairs({'hash', 'string'}) do
  local kind = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= wanted and kind ~= 'none' then redis.call('RENAME', KEYS[i], KEYS[i + 2]) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counter = tonumber(redis.call('GET', KEYS[2])) or 0
-- NaN is neither less nor more than a token, and infinity has no next one.
if counter ~= counter or counter < 0 or counter > 2^53 then counter = 0 end

local function hold(holder)
  local token = string.format('%.0f', math.max(now, counter + 1))
  redis.call('SET', KEYS[2], token)
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'holder', holder, 'token', token)
  redis.call('PEXPIRE', KEYS[1], ttl)
  return token
end

local holder = redis.call('HGET', KEYS[1], 'holder')
if not holder or holder == '' then return hold(holder_id) end
if holder ~= holder_id then
  if working == '1' then
    redis.call('HSET', KEYS[1], 'waiting', holder_id, 'waiting_until', now + ttl)
  end
  if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
  return 0
end
if working ~= '1' then
  local waiting = redis.call('HGET', KEYS[1], 'waiting')
  local fresh = (tonumber(redis.call('HGET', KEYS[1], 'waiting_until')) or 0) > now
  if waiting and waiting ~= holder_id and fresh then
    hold(waiting)
    return 0
  end
end
local token = tonumber(redis.call('HGET', KEYS[1], 'token'))
if not token or token ~= token or token < 1 or token > 2^53 or counter > token then
  return hold(holder_id)
end
if counter < token then redis.call('SET', KEYS[2], string.format('%.0f', token)) end
redis.call('PEXPIRE', KEYS[1], ttl)
return string.format('%.0f', token)
"""

_RELEASE = """
if redis.call('TYPE', KEYS[1])['ok'] == 'hash' and redis.call('HGET', KEYS[1], 'holder') == ARGV[1]
then redis.call('DEL', KEYS[1]) end
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
        works: whether this replica does the work of a holder. One that does not yields to one that
            waits, and does not wait itself.
    """

    def __init__(
        self,
        store: Valkey,
        name: str,
        holder: str,
        clock: Clock,
        works: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._key = keys.lease(name)
        self._counter = keys.lease_counter(name)
        self._clock = clock
        self.name = name
        self.holder = holder
        self._token = 0
        self._until_ns = 0
        self.works = works
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
        """The token of the last time this replica held the lease; 0 once another one holds it.

        While the store is away it still identifies the writer: it allows reductions and no entry.
        """
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
                    self._acquire(
                        keys=[
                            self._key,
                            self._counter,
                            keys.damaged(self._key),
                            keys.damaged(self._counter),
                        ],
                        args=[self.holder, _TTL_MS, int(self.works())],
                    )
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
            # A holder that does not work has yielded to a replica that waits.
            yielded = not self.works()
            _log.warning("lease lost", lease=self.name, holder=self.holder, yielded=yielded)

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
            if not self.held or token != str(self._token).encode():
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
