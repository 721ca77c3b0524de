"""The kill switch in ``ops:kill_switch``; engaged if it can't be read."""

import contextlib
from dataclasses import dataclass
from typing import Any

from redis.exceptions import WatchError

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Pipeline, Valkey, reply, store_errors
from sep_kit.store.documents import parse_document
from sep_kit.store.records import KillSwitchChange

_AUDIT_LENGTH = 10_000

# A release that arrives after its deadline is dropped: its caller has got an error and may have
# engaged the switch since. A store that hung executes queued commands when it resumes.
_SET = """
local now = redis.call('TIME')
if ARGV[1] == '0' and now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(ARGV[3]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'change', ARGV[2])
return 1
"""
# Both in one script: a change between two reads would look like an unrecorded one.
_READ = """#!lua flags=no-writes
return {redis.call('GET', KEYS[1]), redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)}
"""
# Shorter than the client's timeout.
_RELEASE_WITHIN_MS = 1500


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """State of the switch, why, and the last recorded change; None if there is none to read."""

    engaged: bool
    reason: str
    change: KillSwitchChange | None


class KillSwitch:
    """Reads and changes the kill switch, and records who changed it, when and why."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._set = store.register_script(_SET)
        self._read = store.register_script(_READ)

    async def read(self) -> KillSwitchState:
        """The state; engaged if it can't be read. Never raises."""
        names = [keys.KILL_SWITCH, keys.KILL_SWITCH_AUDIT]
        try:
            raw, changes = await reply(self._read(keys=names))
        except StoreUnavailableError:
            return KillSwitchState(True, "the store can't be read", None)
        if raw not in (b"0", b"1"):
            what = "missing" if raw is None else "unreadable"
            return KillSwitchState(True, f"{keys.KILL_SWITCH} is {what}", None)
        last = _change(changes)
        engaged = raw == b"1"
        if last is None or last.engaged != engaged:
            return KillSwitchState(engaged, "set outside the API", None)
        return KillSwitchState(engaged, last.reason, last)

    async def engaged(self) -> bool:
        """Whether it is engaged, in one round trip; True if it can't be read."""
        try:
            return bool(await reply(self._store.get(keys.KILL_SWITCH)) != b"0")
        except StoreUnavailableError:
            return True

    async def set(self, change: KillSwitchChange) -> None:
        """Change the switch and record the change, atomically.

        Raises:
            StoreUnavailableError: Valkey does not answer in time; the switch was not released.
        """
        seconds, microseconds = await reply(self._store.time())
        deadline = seconds * 1000 + microseconds // 1000 + _RELEASE_WITHIN_MS
        done = await reply(
            self._set(
                keys=[keys.KILL_SWITCH, keys.KILL_SWITCH_AUDIT],
                args=[_value(change), change.model_dump_json(), deadline, _AUDIT_LENGTH],
            )
        )
        if not done:
            raise StoreUnavailableError("Valkey took too long: the kill switch was not released")

    async def seed(self, change: KillSwitchChange, *, force: bool) -> None:
        """Set the switch at start if it is absent, or always if forced.

        Raises:
            StoreUnavailableError: Valkey does not answer; the state is unknown.
        """
        if force:
            await self.set(change)
            return
        async with store_errors(), self._store.pipeline(transaction=True) as pipe:
            await pipe.watch(keys.KILL_SWITCH)
            if await reply(self._store.exists(keys.KILL_SWITCH)):
                return
            pipe.multi()  # type: ignore[no-untyped-call]
            queue_kill_switch(pipe, change)
            # A concurrent change takes precedence over the default.
            with contextlib.suppress(WatchError):
                await pipe.execute()


def _change(entries: list[Any]) -> KillSwitchChange | None:
    """The change in a reply to XREVRANGE; None if there is none or it is malformed."""
    try:
        ((_, fields),) = entries
        raw = dict(zip(fields[::2], fields[1::2], strict=True))[b"change"]
        return parse_document(KillSwitchChange, keys.KILL_SWITCH_AUDIT, raw)
    except (ValueError, KeyError, CorruptRecordError):
        return None


def queue_kill_switch(pipe: Pipeline, change: KillSwitchChange) -> None:
    """Queue a change and its audit entry, for a transaction that writes more than the switch."""
    pipe.set(keys.KILL_SWITCH, _value(change))
    pipe.xadd(
        keys.KILL_SWITCH_AUDIT,
        {"change": change.model_dump_json()},
        maxlen=_AUDIT_LENGTH,
        approximate=True,
    )


def _value(change: KillSwitchChange) -> str:
    return "1" if change.engaged else "0"
