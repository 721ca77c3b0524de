"""``bt:rolling:hist:{instrument}``: the samples behind the floors, cached and read in part."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from redis.asyncio.client import Pipeline
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors

from sep_evaluator.domain.floors import HISTORY_MS, BaseFloors, FloorsInForce, Sample

_log = get_logger("GateMemory")


class GateHistory:
    """Loads the floors of each instrument.

    A month of hourly samples is too much to read with every evaluation. The samples are cached
    and only newer ones are read, as long as the number of samples in the store matches.
    """

    def __init__(self, store: Valkey, base: BaseFloors) -> None:
        self._store = store
        self._base = base
        self._cache: dict[str, FloorsInForce] = {}
        self._refused: set[tuple[str, bytes]] = set()

    async def load(self, instruments: Sequence[str], now_ms: int) -> dict[str, FloorsInForce]:
        """The floors and samples of the last 30 days; an unreadable sample is logged once.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        since = now_ms - HISTORY_MS
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                key, cached = keys.backtest_history(instrument), self._cache.get(instrument)
                newest = cached.history[-1].ts if cached and cached.history else 0
                pipe.zcount(key, f"({since}", "+inf")
                pipe.zrangebyscore(key, f"({max(newest, since)}", "+inf")
            found = await pipe.execute()
        for instrument, count, newer in zip(instruments, found[::2], found[1::2], strict=True):
            floors = self._cache.setdefault(instrument, FloorsInForce(self._base))
            floors.add(*self._samples(instrument, newer))
            floors.expire(now_ms)
            if len(floors.history) != count:
                del self._cache[instrument]
        uncached = [i for i in instruments if i not in self._cache]
        return {
            **{i: self._cache[i] for i in instruments if i in self._cache},
            **(await self._read_whole(uncached, since) if uncached else {}),
        }

    async def _read_whole(self, instruments: Sequence[str], since: int) -> dict[str, FloorsInForce]:
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                pipe.zrangebyscore(keys.backtest_history(instrument), f"({since}", "+inf")
            found = await pipe.execute()
        whole = {}
        for instrument, raws in zip(instruments, found, strict=True):
            whole[instrument] = FloorsInForce(self._base)
            whole[instrument].add(*self._samples(instrument, raws))
            # With an unreadable sample, equal counts would not prove that the cache is current.
            if len(whole[instrument].history) == len(raws):
                self._cache[instrument] = whole[instrument]
        return whole

    def _samples(self, instrument: str, raws: Sequence[bytes]) -> list[Sample]:
        samples = []
        for raw in raws:
            sample = _sample(raw)
            if sample is not None:
                samples.append(sample)
            elif (instrument, raw) not in self._refused:
                self._refused.add((instrument, raw))
                _log.error("unreadable history sample refused", instrument=instrument)
        return samples


def queue_sample(pipe: Pipeline, instrument: str, sample: Sample, now_ms: int) -> None:
    """Queue a new sample, and the removal of those older than 30 days."""
    key = keys.backtest_history(instrument)
    pipe.zadd(key, {json.dumps(asdict(sample)): sample.ts})
    pipe.zremrangebyscore(key, "-inf", now_ms - HISTORY_MS)


def _sample(raw: bytes) -> Sample | None:
    try:
        fields = json.loads(raw)
        sample = Sample(
            ts=int(fields["ts"]),
            trades=int(fields["trades"]),
            calmar=float(fields["calmar"]),
            pnl=float(fields["pnl"]),
            # Earlier versions did not store it. Their samples count for no parameters.
            params=str(fields.get("params", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    valid = math.isfinite(sample.calmar) and math.isfinite(sample.pnl) and sample.trades >= 0
    return sample if valid else None
