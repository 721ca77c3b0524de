"""Candles in Valkey: ``md:candles:{instrument}:{granularity}``, a HASH of packed chunks.

Fields are the chunks' starts in seconds, plus ``last``, the start of the newest bar.
A bar time is stored once: written again, it is replaced in its place. A chunk that
can't be read is moved to the field ``corrupt:{start}:{n}`` when its place is written
again, so nothing stored is ever lost.
"""

import zlib
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from typing import Any

from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import candle_chunks, keys
from sep_kit.store.candle_chunks import BARS_PER_CHUNK, Candle, chunk_start
from sep_kit.store.connection import Valkey, answer, store_errors

_log = get_logger("CandleStore")
_LAST = b"last"


class CandleStore:
    """The one reader and writer of candles."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def write(
        self, instrument: str, granularity: Granularity, candles: Iterable[Candle]
    ) -> int:
        """Store candles; returns how many were new or changed.

        Raises:
            StoreUnavailableError: Valkey does not answer; nothing or everything was stored.
            ValueError: a candle that has no place or can't be kept exactly; nothing was stored.
        """
        seconds = granularity.seconds
        by_chunk: dict[int, list[Candle]] = defaultdict(list)
        for candle in candles:
            by_chunk[chunk_start(candle.time, seconds)].append(candle)
        if not by_chunk:
            return 0
        key = keys.candles(instrument, granularity)
        for _ in range(20):
            try:
                async with store_errors(), self._store.pipeline(transaction=True) as pipe:
                    return await _merge_chunks(pipe, key, by_chunk, seconds)
            except WatchError:
                continue
        raise StoreUnavailableError(f"{key} is written by too many at once")

    async def last_times(
        self, instruments: Iterable[str], granularity: Granularity
    ) -> dict[str, int]:
        """Start of the newest bar of each instrument that has one, in one round trip.

        One that can't be read is left out and logged; the next candle that is written mends it.
        """
        names = list(instruments)
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(keys.candles(name, granularity), "last")
            found = await pipe.execute()
        times = {n: _time_of(raw, n) for n, raw in zip(names, found, strict=True)}
        return {n: time for n, time in times.items() if time is not None}

    async def read_bars(
        self, instrument: str, granularity: Granularity, since: int, until: int | None = None
    ) -> Bars:
        """Bars with ``since <= start < until``; a corrupt chunk is left out and logged."""
        seconds = granularity.seconds
        parts = [
            candle_chunks.bars_of(chunk, start, seconds)
            for start, chunk in await self._chunks(instrument, granularity, since, until)
        ]
        bars = Bars.concatenate(parts).since(since)
        if until is None:
            return bars
        return bars.slice(0, int(bars.time.searchsorted(until, "left")))

    async def read_candles(
        self, instrument: str, granularity: Granularity, since: int, until: int
    ) -> list[Candle]:
        """Candles with ``since <= start < until`` as exact decimals, oldest first."""
        seconds = granularity.seconds
        return [
            candle
            for start, chunk in await self._chunks(instrument, granularity, since, until)
            for candle in candle_chunks.candles_of(chunk, start, seconds)
            if since <= candle.time < until
        ]

    async def _chunks(
        self, instrument: str, granularity: Granularity, since: int, until: int | None
    ) -> list[tuple[int, candle_chunks.Chunk]]:
        key = keys.candles(instrument, granularity)
        fields = await answer(self._store.hkeys(key))
        first = chunk_start(since, granularity.seconds)
        starts = sorted(
            start
            for start in (int(f) for f in fields if f.isdigit())
            if start >= first and (until is None or start < until)
        )
        if not starts:
            return []
        chunks = []
        for start, raw in zip(
            starts, await answer(self._store.hmget(key, [str(s) for s in starts])), strict=True
        ):
            try:
                chunks.append((start, candle_chunks.decode(raw or b"", f"{key} {start}")))
            except CorruptRecordError as error:
                _log.error("corrupt candles refused", error=str(error))
        return chunks


async def _merge_chunks(
    pipe: Pipeline, key: str, by_chunk: dict[int, list[Candle]], seconds: int
) -> int:
    await pipe.watch(key)
    fields = [str(s).encode() for s in by_chunk]
    *stored, last = await _now(pipe.hmget(key, [*fields, _LAST]))
    updates: dict[bytes, bytes] = {}
    changed = 0
    for (start, candles), field, raw in zip(by_chunk.items(), fields, stored, strict=True):
        try:
            chunk = (
                candle_chunks.EMPTY if raw is None else candle_chunks.decode(raw, f"{key} {start}")
            )
        except CorruptRecordError as error:
            _log.error("corrupt candles moved aside", error=str(error))
            updates[b"corrupt:%d:%d" % (start, zlib.crc32(raw))] = raw
            chunk = candle_chunks.EMPTY
        merged, new = candle_chunks.merge(chunk, start, seconds, candles)
        if new:
            updates[field] = candle_chunks.encode(merged)
            changed += new
    if not changed:
        await pipe.unwatch()  # type: ignore[no-untyped-call]
        return 0
    newest = max(c.time for candles in by_chunk.values() for c in candles)
    updates[_LAST] = str(max(newest, _time_of(last, key) or newest)).encode()
    pipe.multi()  # type: ignore[no-untyped-call]
    pipe.hset(key, mapping=updates)  # type: ignore[arg-type]
    pipe.publish(keys.CANDLES_CHANNEL, key)
    await pipe.execute()
    return changed


def _time_of(raw: bytes | None, of: str) -> int | None:
    if raw is None or raw.isdigit():
        return None if raw is None else int(raw)
    _log.error("corrupt time of the newest candle refused", of=of)
    return None


async def _now(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result


__all__ = ["BARS_PER_CHUNK", "Candle", "CandleStore"]
