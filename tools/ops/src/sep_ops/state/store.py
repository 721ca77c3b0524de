"""Reads and writes all keys of a Valkey, as the payloads of its DUMP command."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sep_kit.store import keys
from sep_kit.store.connection import Pipeline
from sep_kit.store.kill_switch import queue_kill_switch
from sep_kit.store.records import KillSwitchChange

from sep_ops.state.errors import StateError, UnusableError

T = TypeVar("T")
_TIMEOUT_S = 120
_BATCH = 500
_CANDLES = keys.candles("", "").removesuffix(":")
_COVERAGE = keys.candle_coverage("", "").removesuffix(":")
_SIGNALS = keys.signal("", 0).removesuffix(":0")
_LEASES = keys.lease("")

# One script, so that what is read is the state of one moment. Keys of the prefixes are left out.
_READ = """#!lua flags=no-writes
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local wanted = true
  for _, prefix in ipairs(ARGV) do
    if string.sub(key, 1, #prefix) == prefix then wanted = false end
  end
  local value = wanted and redis.call('DUMP', key)
  if value then
    found[#found + 1] = key
    found[#found + 1] = redis.call('PEXPIRETIME', key)
    found[#found + 1] = value
  end
end
return found
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, its end in ms since 1970 (None for none), and its value as DUMP gives it."""

    key: bytes
    expires_ms: int | None
    value: bytes


@contextmanager
def open_store(url: str) -> Iterator[redis.Redis]:
    """A client; errors of the connection are reported with what failed.

    Raises:
        StateError: Valkey does not answer, or refuses.
    """
    client = redis.Redis.from_url(
        url.replace("valkey://", "redis://", 1),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=5,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    try:
        yield client
    except ResponseError as error:
        raise StateError(f"Valkey refuses: {error}") from error
    except (RedisError, OSError) as error:
        raise StateError(f"Valkey does not answer: {error}") from error
    finally:
        client.close()


def version_of(client: redis.Redis) -> str:
    """Valkey's version, such as ``9.1.2``."""
    info = client.info("server")
    return str(info.get("valkey_version") or info["redis_version"])


def read_state(client: redis.Redis, *, candles: bool) -> list[Entry]:
    """All keys but candles and signals, at one moment. Coverage goes with the candles."""
    left_out = [_CANDLES, _SIGNALS] + ([] if candles else [_COVERAGE])
    flat = cast("list[Any]", client.eval(_READ, 0, *left_out))
    return [_entry(*found) for found in batched(flat, 3)]


def read_bulk(client: redis.Redis, *, candles: bool) -> Iterator[Entry]:
    """Signals, and candles on request, key by key: what is written once does not change."""
    for prefix in (_SIGNALS, _CANDLES) if candles else (_SIGNALS,):
        found = client.scan_iter(match=f"{prefix}*", count=_BATCH)
        for batch in batched(dict.fromkeys(found), _BATCH):
            with client.pipeline(transaction=False) as pipe:
                for key in batch:
                    pipe.dump(key)
                    pipe.execute_command("PEXPIRETIME", key)  # type: ignore[no-untyped-call]
                values = batched(pipe.execute(), 2)
            for key, (value, expires) in zip(batch, values, strict=True):
                if value is not None:  # it has not ended meanwhile
                    yield _entry(key, expires, value)


def write_state(
    client: redis.Redis, entries: Iterable[Entry], halt: KillSwitchChange | None
) -> None:
    """Replace all keys, and engage the kill switch, in one transaction. Leases are left out.

    Keys whose time has ended are not made.

    Raises:
        UnusableError: Valkey can't read the values.
    """
    with client.pipeline(transaction=True) as pipe:
        pipe.flushdb()
        for entry in entries:
            if not entry.key.startswith(_LEASES.encode()):
                _queue(pipe, entry)
        if halt is not None:
            queue_kill_switch(cast("Pipeline", pipe), halt)
        _execute(pipe)


def write_bulk(client: redis.Redis, entries: Iterable[Entry]) -> int:
    """Add keys in portions; returns how many there were."""
    written = 0
    for batch in batched(entries, _BATCH):
        with client.pipeline(transaction=False) as pipe:
            for entry in batch:
                _queue(pipe, entry)
            _execute(pipe)
        written += len(batch)
    return written


def held_leases(client: redis.Redis) -> list[str]:
    """Services that hold a lease, as those of a running stack do."""
    found = client.scan_iter(match=f"{_LEASES}*", count=_BATCH)
    return sorted(key.decode().removeprefix(_LEASES) for key in found)


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The items in portions. (Python 3.11 has no ``itertools.batched``.)"""
    rest = iter(items)
    while portion := tuple(islice(rest, size)):
        yield portion


def _queue(pipe: Any, entry: Entry) -> None:
    end = entry.expires_ms or 0
    pipe.restore(entry.key, end, entry.value, replace=True, absttl=end > 0)


def _execute(pipe: Any) -> None:
    try:
        pipe.execute()
    except ResponseError as error:
        raise UnusableError(f"Valkey can't read a value of the backup: {error}") from error


def _entry(key: bytes, expires: int, value: bytes) -> Entry:
    return Entry(key, expires if expires >= 0 else None, value)
