"""``bt:rolling:hist:{instrument}``: the samples behind the floors, read once and then kept up."""

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
    """The floors in force of each instrument.

    A month of hourly samples is too much to read with every evaluation: what is known is
    kept, and only what is newer is read, as long as the store holds just as many samples.
    """

    def __init__(self, store: Valkey, base: BaseFloors) -> None:
        self._store = store
        self._base = base
        self._kept: dict[str, FloorsInForce] = {}
        self._refused: set[tuple[str, bytes]] = set()

    async def load(self, instruments: Sequence[str], now_ms: int) -> dict[str, FloorsInForce]:
        """The floors and the samples of the last 30 days.

        A sample that can't be read is told once and left out.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        since = now_ms - HISTORY_MS
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                key, kept = keys.backtest_history(instrument), self._kept.get(instrument)
                newest = kept.history[-1].ts if kept and kept.history else 0
                pipe.zcount(key, f"({since}", "+inf")
                pipe.zrangebyscore(key, f"({max(newest, since)}", "+inf")
            found = await pipe.execute()
        for instrument, count, newer in zip(instruments, found[::2], found[1::2], strict=True):
            known = self._kept.setdefault(instrument, FloorsInForce(self._base))
            known.add(*self._samples(instrument, newer))
            known.at(now_ms)
            if len(known.history) != count:
                del self._kept[instrument]
        unlike = [i for i in instruments if i not in self._kept]
        return {
            **{i: self._kept[i] for i in instruments if i in self._kept},
            **(await self._read_whole(unlike, since) if unlike else {}),
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
            # With one among them that can't be read, their number would not tell which they are.
            if len(whole[instrument].history) == len(raws):
                self._kept[instrument] = whole[instrument]
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
    """Queue a new sample; those older than 30 days go."""
    key = keys.backtest_history(instrument)
    pipe.zadd(key, {json.dumps(asdict(sample)): sample.ts})
    pipe.zremrangebyscore(key, "-inf", now_ms - HISTORY_MS)


def _sample(raw: bytes) -> Sample | None:
    try:
        fields = json.loads(raw)
        sample = Sample(
            int(fields["ts"]), int(fields["trades"]), float(fields["calmar"]), float(fields["pnl"])
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    sound = math.isfinite(sample.calmar) and math.isfinite(sample.pnl) and sample.trades >= 0
    return sample if sound else None
