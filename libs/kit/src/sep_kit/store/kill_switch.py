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

# One script for all changes, so that state and audit entry are written together or not at all.
# - A release that arrives after its deadline is dropped: its caller has got an error and may have
#   engaged the switch since. A store that hung executes queued commands when it resumes.
# - A late engage, which could not be written when it was made, gives way to a later change. Clocks
#   of replicas differ: within two seconds the engage counts as the later one.
# - The same change is recorded once, however often it is sent.
_SET = """
local kind = redis.call('TYPE', KEYS[2])['ok']
local last = nil
if kind == 'stream' then
  local entry = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  for i = 1, entry and #entry[2] or 0, 2 do
    if entry[2][i] == 'change' then last = entry[2][i + 1] end
  end
end
local now = redis.call('TIME')
if ARGV[3] == 'release' and now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(ARGV[4]) then
  return 'late'
end
if ARGV[3] == 'late engage' and last then
  local read, change = pcall(cjson.decode, last)
  local ts = read and type(change) == 'table' and tonumber(change['ts'])
  if ts and ts > tonumber(ARGV[4]) + 2000 then return 'superseded' end
end
if kind ~= 'stream' and kind ~= 'none' then redis.call('RENAME', KEYS[2], KEYS[3]) end
if last ~= ARGV[2] then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'change', ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1])
return 'written'
"""
# Both in one script: a change between two reads would look like an unrecorded one.
_READ = """#!lua flags=no-writes
local changes = {}
if redis.call('TYPE', KEYS[2])['ok'] == 'stream' then
  changes = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
end
local value = false
if redis.call('TYPE', KEYS[1])['ok'] ~= 'none' then
  value = redis.pcall('GET', KEYS[1])
  if type(value) == 'table' then value = 'of another type' end
end
return {value, changes}
"""
# Shorter than the client's timeout.
_RELEASE_WITHIN_MS = 1500
# Under `appendfsync always` the answer comes at once.
_ON_DISK_WITHIN_MS = 300


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """State of the switch, why, and the last recorded change; None if there is none to read."""

    engaged: bool
    reason: str
    change: KillSwitchChange | None
    unreadable: bool = False
    """Whether the store did not answer; it counts as engaged."""


class KillSwitch:
    """Reads and changes the kill switch, and records who changed it, when and why."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._read = store.register_script(_READ)

    async def read(self) -> KillSwitchState:
        """The state; engaged if it can't be read. Never raises."""
        names = [keys.KILL_SWITCH, keys.KILL_SWITCH_AUDIT]
        try:
            raw, changes = await reply(self._read(keys=names))
        except StoreUnavailableError:
            return KillSwitchState(True, "the store can't be read", None, unreadable=True)
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

    async def set(self, change: KillSwitchChange) -> bool:
        """Change the switch and record the change, atomically.

        Returns:
            Whether the change is on the store's disk.

        Raises:
            StoreUnavailableError: Valkey does not answer in time; the switch was not released,
                unless the connection broke while Valkey answered.
        """
        if change.engaged:
            _, on_disk = await self._change(change, "engage", 0)
            return on_disk
        seconds, microseconds = await reply(self._store.time())
        deadline = seconds * 1000 + microseconds // 1000 + _RELEASE_WITHIN_MS
        outcome, on_disk = await self._change(change, "release", deadline)
        if outcome != b"written":
            raise StoreUnavailableError("Valkey took too long: the kill switch was not released")
        return on_disk

    async def engage_late(self, change: KillSwitchChange) -> bool:
        """Write an engage that could not be written when it was made.

        Returns:
            Whether nothing is left to do: it is on the store's disk, or a later change took its
            place.

        Raises:
            StoreUnavailableError: Valkey does not answer in time.
        """
        outcome, on_disk = await self._change(change, "late engage", change.ts)
        return on_disk or outcome == b"superseded"

    async def _change(
        self, change: KillSwitchChange, kind: str, limit_ms: int
    ) -> tuple[bytes, bool]:
        audit = keys.KILL_SWITCH_AUDIT
        names = (keys.KILL_SWITCH, audit, keys.damaged(audit))
        arguments = (_value(change), change.model_dump_json(), kind, limit_ms, _AUDIT_LENGTH)
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            pipe.eval(_SET, len(names), *names, *arguments)
            # On the same connection: it waits for that connection's writes.
            pipe.execute_command("WAITAOF", 1, 0, _ON_DISK_WITHIN_MS)
            outcome, fsynced = await pipe.execute(raise_on_error=False)
            if isinstance(outcome, Exception):
                raise outcome
        on_disk = not isinstance(fsynced, Exception) and fsynced[0] >= 1
        return outcome, on_disk

    async def seed(self, change: KillSwitchChange, *, force: bool) -> None:
        """Set the switch at start if it is absent; a forced engage is set in any case.

        Raises:
            StoreUnavailableError: Valkey does not answer; the state is unknown.
        """
        if force and change.engaged:
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
