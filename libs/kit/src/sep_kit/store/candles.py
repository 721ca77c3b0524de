"""Candles in Valkey: ``md:candles:{instrument}:{granularity}``, a HASH of packed chunks.

Fields are the chunks' starts in seconds, plus ``last``, the start of the newest bar, and
``rewrites``, the number of writes that changed a bar up to ``last``. Writing a bar again replaces
it. When a chunk that can't be decoded is written again, its old content is moved to the field
``corrupt:{start}:{crc32}``, so that no data is lost.
"""

import zlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.exceptions import WatchError
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import candle_chunks, keys
from sep_kit.store.candle_chunks import BARS_PER_CHUNK, Candle, CandleColumns, chunk_start
from sep_kit.store.connection import Pipeline, Valkey, reply, store_errors, wrong_type

_log = get_logger("CandleStore")
_LAST, _REWRITES = b"last", b"rewrites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Start of the newest bar in seconds, and how often bars up to it were rewritten.

    A reader that has all bars up to ``last`` needs only newer ones while ``rewrites`` is unchanged.
    """

    last: int
    rewrites: int


class CandleStore:
    """Reads and writes candles."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def write(self, instrument: str, granularity: Granularity, candles: CandleColumns) -> int:
        """Store candles; returns how many were new or changed.

        Raises:
            StoreUnavailableError: Valkey does not answer; nothing or everything was stored.
            ValueError: a candle is misaligned or can't be stored exactly; nothing was stored.
        """
        seconds = granularity.seconds
        starts = chunk_start(candles.time, seconds)
        by_chunk = {int(s): candles.where(starts == s) for s in np.unique(starts)}
        if not by_chunk:
            return 0
        key = keys.candles(instrument, granularity)
        for _ in range(20):
            try:
                async with store_errors(), self._store.pipeline(transaction=True) as pipe:
                    return await _merge_chunks(pipe, key, by_chunk, seconds)
            except WatchError:
                continue
        raise StoreUnavailableError(f"{key} has too many concurrent writers")

    async def heads(self, instruments: Iterable[str], granularity: Granularity) -> dict[str, Head]:
        """The head of each instrument that has candles, in one round trip.

        A malformed head is left out and logged; the next write of a candle repairs it.
        """
        names = list(instruments)
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(keys.candles(name, granularity), [_LAST, _REWRITES])
            found = await pipe.execute(raise_on_error=False)
        for i, head in enumerate(found):
            if isinstance(head, Exception):
                if not wrong_type(head):
                    raise StoreUnavailableError(f"Valkey refused: {head}") from head
                found[i] = (None, None)
        return {
            name: Head(last=last, rewrites=_number(rewrites, name) or 0)
            for name, (raw, rewrites) in zip(names, found, strict=True)
            if (last := _number(raw, name)) is not None
        }

    async def last_times(
        self, instruments: Iterable[str], granularity: Granularity
    ) -> dict[str, int]:
        """Start of the newest bar of each instrument that has one, in one round trip."""
        heads = await self.heads(instruments, granularity)
        return {name: head.last for name, head in heads.items()}

    async def read_bars(
        self, instrument: str, granularity: Granularity, since: int, until: int | None = None
    ) -> Bars:
        """Bars with ``since <= start < until``; corrupt chunks are left out and logged."""
        seconds = granularity.seconds
        parts = [
            candle_chunks.bars_of(chunk, start, seconds)
            for start, chunk in await self._chunks(instrument, granularity, since, until)
        ]
        return Bars.concatenate(parts).between(since, until)

    async def read_bars_of(
        self, spans: Mapping[str, tuple[int, int]], granularity: Granularity
    ) -> dict[str, Bars]:
        """Bars of several instruments in one round trip; for spans of a few chunks.

        Args:
            spans: since (inclusive) and until (exclusive) by instrument.
        """
        seconds = granularity.seconds
        step = BARS_PER_CHUNK * seconds
        starts = {i: range(chunk_start(a, seconds), b, step) for i, (a, b) in spans.items()}
        wanted = {i: found for i, found in starts.items() if found}
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument, fields in wanted.items():
                pipe.hmget(keys.candles(instrument, granularity), [str(s) for s in fields])
            replies = await pipe.execute()
        bars = dict.fromkeys(spans, Bars.empty())
        for (instrument, fields), raws in zip(wanted.items(), replies, strict=True):
            since, until = spans[instrument]
            chunks = _decoded(keys.candles(instrument, granularity), fields, raws)
            bars[instrument] = Bars.concatenate(
                [
                    candle_chunks.bars_of(
                        chunk.between(since - start, until - start, seconds), start, seconds
                    )
                    for start, chunk in chunks
                ]
            )
        return bars

    async def read_candles(
        self, instrument: str, granularity: Granularity, since: int, until: int
    ) -> list[Candle]:
        """Candles with ``since <= start < until`` as exact decimals, oldest first."""
        seconds = granularity.seconds
        return [
            candle
            for start, chunk in await self._chunks(instrument, granularity, since, until)
            for candle in candle_chunks.candles_of(
                chunk.between(since - start, until - start, seconds), start, seconds
            )
        ]

    async def read_columns(
        self, instrument: str, granularity: Granularity, since: int, until: int
    ) -> list[CandleColumns]:
        """As ``read_candles``, in columns, of which each has its own precision."""
        seconds = granularity.seconds
        return [
            candle_chunks.columns_of(
                chunk.between(since - start, until - start, seconds), start, seconds
            )
            for start, chunk in await self._chunks(instrument, granularity, since, until)
        ]

    async def _chunks(
        self, instrument: str, granularity: Granularity, since: int, until: int | None
    ) -> list[tuple[int, candle_chunks.Chunk]]:
        key = keys.candles(instrument, granularity)
        fields = await reply(self._store.hkeys(key))
        first = chunk_start(since, granularity.seconds)
        starts = sorted(
            start
            for start in (int(f) for f in fields if f.isdigit())
            if start >= first and (until is None or start < until)
        )
        if not starts:
            return []
        return _decoded(key, starts, await reply(self._store.hmget(key, [str(s) for s in starts])))


def _decoded(
    key: str, starts: Sequence[int], raws: Iterable[bytes | None]
) -> list[tuple[int, candle_chunks.Chunk]]:
    """The chunks that exist and can be decoded, with their starts."""
    chunks = []
    for start, raw in zip(starts, raws, strict=True):
        if raw is None:
            continue
        try:
            chunks.append((start, candle_chunks.decode(raw, f"{key} {start}")))
        except CorruptRecordError as error:
            _log.error("corrupt candles ignored", error=str(error))
    return chunks


async def _merge_chunks(
    pipe: Pipeline, key: str, by_chunk: Mapping[int, CandleColumns], seconds: int
) -> int:
    await pipe.watch(key)
    fields = [str(s).encode() for s in by_chunk]
    *stored, last, rewrites = await _now(pipe.hmget(key, [*fields, _LAST, _REWRITES]))
    known = _number(last, key)
    updates: dict[bytes, bytes] = {}
    changed: list[int] = []
    moved_aside = False
    for (start, candles), field, raw in zip(by_chunk.items(), fields, stored, strict=True):
        try:
            chunk = (
                candle_chunks.EMPTY if raw is None else candle_chunks.decode(raw, f"{key} {start}")
            )
        except CorruptRecordError as error:
            _log.error("corrupt candles moved aside", error=str(error))
            updates[b"corrupt:%d:%d" % (start, zlib.crc32(raw))] = raw
            chunk, moved_aside = candle_chunks.EMPTY, True
        merged, slots = candle_chunks.merge(chunk, start, seconds, candles)
        if len(slots):
            updates[field] = candle_chunks.encode(merged)
            changed += (start + slots * seconds).tolist()
    if not changed:
        await pipe.unwatch()  # type: ignore[no-untyped-call]
        return 0
    newest = max(changed)
    updates[_LAST] = str(max(newest, known or newest)).encode()
    if last is not None and (moved_aside or known is None or min(changed) <= known):
        updates[_REWRITES] = str((_number(rewrites, key) or 0) + 1).encode()
    pipe.multi()  # type: ignore[no-untyped-call]
    pipe.hset(key, mapping=updates)  # type: ignore[arg-type]
    pipe.publish(keys.CANDLES_CHANNEL, key)
    await pipe.execute()
    return len(changed)


def _number(raw: bytes | None, of: str) -> int | None:
    if raw is None or raw.isdigit():
        return None if raw is None else int(raw)
    _log.error("corrupt head of candles ignored", of=of)
    return None


async def _now(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result


__all__ = ["BARS_PER_CHUNK", "Candle", "CandleColumns", "CandleStore", "Head"]
