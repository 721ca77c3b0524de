"""Writer lease with a fencing token: one replica writes, the others wait to take over."""

from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from sep_kit.clock import Clock
from sep_kit.errors import NotTheWriterError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, answer, store_errors

_log = get_logger("Lease")

# Take the lease if it is free, renew it if it is ours; answers the token, 0 for another's.
# A token is given out once: whoever writes with an older one is refused. It grows with
# the clock as well as by one, so that not even a wiped store gives one out again.
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
"""How often to renew: a lost holder is replaced within the lease's 10 s plus this."""


class Lease:
    """The lease of one service.

    Args:
        name: the service.
        holder: unique among replicas and restarts.
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
        self.store_away = False
        """Whether the last renewal failed because Valkey does not answer: then nobody is
        known to hold the lease."""
        self._on_taken: list[Callable[[], None]] = []
        self._acquire = store.register_script(_ACQUIRE)
        self._release = store.register_script(_RELEASE)

    @property
    def held(self) -> bool:
        """Whether this replica may write, as far as it can know by itself."""
        return self._token > 0 and self._clock.now_ns() < self._until_ns

    @property
    def token(self) -> int:
        """The fencing token, 0 while the lease is not held."""
        return self._token if self.held else 0

    def when_taken(self, call: Callable[[], None]) -> None:
        """Call back each time this replica takes the lease, so that work begins at once."""
        self._on_taken.append(call)

    async def renew(self) -> None:
        """Take or keep the lease.

        Raises:
            StoreUnavailableError: Valkey does not answer; the lease runs out by itself.
        """
        asked_at = self._clock.now_ns()
        try:
            token = int(
                await answer(
                    self._acquire(keys=[self._key, self._counter], args=[self.holder, _TTL_MS])
                )
            )
        except StoreUnavailableError:
            self.store_away = True
            raise
        self.store_away = False
        before, self._token = self._token, token
        self._until_ns = asked_at + _TTL_MS * 1_000_000
        if token and token != before:
            _log.info("lease taken", lease=self.name, holder=self.holder, token=token)
            for call in self._on_taken:
                call()
        elif before and not token:
            _log.warning("lease lost", lease=self.name, holder=self.holder)

    async def release(self) -> None:
        """Give the lease up, so that another replica need not wait for it to run out."""
        self._token = 0
        await answer(self._release(keys=[self._key], args=[self.holder]))

    async def write(self, queue: Callable[[Pipeline], Any]) -> list[Any]:
        """Run the queued commands in one transaction, only if the lease is still held.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was written.
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=True) as pipe:
            # Whoever takes the lease takes a new token first, so it is the token that is
            # watched: renewals leave it alone.
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
        return NotTheWriterError(f"this replica does not hold the {self.name} lease; ask again")


async def _now(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result
