"""The kill switch: ``ops:kill_switch`` is the truth; what can't be read is engaged."""

import contextlib
from dataclasses import dataclass
from typing import Any

from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, answer, store_errors
from sep_kit.store.documents import parse_document
from sep_kit.store.records import KillSwitchChange

_AUDIT_LENGTH = 10_000

# A release that came too late is none: whoever asked for it was told that it failed, and may
# have engaged the switch since. A store that hung runs what it was sent when it wakes up.
_SET = """
local now = redis.call('TIME')
if ARGV[1] == '0' and now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(ARGV[3]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'change', ARGV[2])
return 1
"""
# Both at one moment: a change between two reads would look like one that nobody recorded.
_READ = """#!lua flags=no-writes
return {redis.call('GET', KEYS[1]), redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)}
"""
# Less than the client waits for an answer.
_RELEASE_WITHIN_MS = 1500


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """``change`` is the last recorded change, None where there is none to read."""

    engaged: bool
    reason: str
    change: KillSwitchChange | None


class KillSwitch:
    """Reads and changes the kill switch, and keeps who, when and why."""

    def __init__(self, store: Valkey) -> None:
        self._store = store
        self._set = store.register_script(_SET)
        self._read = store.register_script(_READ)

    async def read(self) -> KillSwitchState:
        """The state; never raises, since not knowing means engaged."""
        kept = [keys.KILL_SWITCH, keys.KILL_SWITCH_AUDIT]
        try:
            raw, changes = await answer(self._read(keys=kept))
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
        """Whether it is engaged, in one round trip; not knowing means that it is."""
        try:
            return bool(await answer(self._store.get(keys.KILL_SWITCH)) != b"0")
        except StoreUnavailableError:
            return True

    async def set(self, change: KillSwitchChange) -> None:
        """Change the switch and record the change, both or neither.

        Raises:
            StoreUnavailableError: Valkey does not answer in time; it was not released.
        """
        seconds, microseconds = await answer(self._store.time())
        deadline = seconds * 1000 + microseconds // 1000 + _RELEASE_WITHIN_MS
        done = await answer(
            self._set(
                keys=[keys.KILL_SWITCH, keys.KILL_SWITCH_AUDIT],
                args=[_value(change), change.model_dump_json(), deadline, _AUDIT_LENGTH],
            )
        )
        if not done:
            raise StoreUnavailableError("Valkey took too long: the kill switch was not released")

    async def seed(self, change: KillSwitchChange, *, force: bool) -> None:
        """Set the switch at boot where it is absent, or always when forced.

        Raises:
            StoreUnavailableError: Valkey does not answer; the state is not known.
        """
        if force:
            await self.set(change)
            return
        async with store_errors(), self._store.pipeline(transaction=True) as pipe:
            await pipe.watch(keys.KILL_SWITCH)
            if await answer(self._store.exists(keys.KILL_SWITCH)):
                return
            pipe.multi()  # type: ignore[no-untyped-call]
            _queue(pipe, change)
            # Whoever set it meanwhile knew better than a default.
            with contextlib.suppress(WatchError):
                await pipe.execute()


def _change(entries: list[Any]) -> KillSwitchChange | None:
    """The change in what XREVRANGE answers inside a script; None where there is none to read."""
    try:
        ((_, fields),) = entries
        raw = dict(zip(fields[::2], fields[1::2], strict=True))[b"change"]
        return parse_document(KillSwitchChange, keys.KILL_SWITCH_AUDIT, raw)
    except (ValueError, KeyError, CorruptRecordError):
        return None


def _queue(pipe: Pipeline, change: KillSwitchChange) -> None:
    pipe.set(keys.KILL_SWITCH, _value(change))
    pipe.xadd(
        keys.KILL_SWITCH_AUDIT,
        {"change": change.model_dump_json()},
        maxlen=_AUDIT_LENGTH,
        approximate=True,
    )


def _value(change: KillSwitchChange) -> str:
    return "1" if change.engaged else "0"
