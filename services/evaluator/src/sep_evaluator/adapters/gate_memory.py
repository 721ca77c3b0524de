"""Hysteresis memory and history in Valkey. Evaluation and memory are written in one transaction."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from redis.asyncio.client import Pipeline
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors

from sep_evaluator.domain.evaluation import Evaluation
from sep_evaluator.domain.floors import HISTORY_MS, Sample
from sep_evaluator.domain.gates import COOLDOWN_MS, GateState

_log = get_logger("GateMemory")
_COUNTERS = ("eligible", "passes", "fails", "misses", "watermark")


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of an instrument."""

    state: GateState
    history: tuple[Sample, ...]


class GateMemory:
    """Reads what is remembered."""

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def load(self, instruments: Sequence[str], now_ms: int) -> dict[str, Memory]:
        """Memory of each instrument, in one round trip.

        A counter that can't be read counts as zero, which never opens a gate; a
        cooldown that can't be read holds for its full length.
        """
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                pipe.mget([keys.gate_memory(c, instrument) for c in _COUNTERS])
                pipe.get(keys.cooldown(instrument))
                pipe.pttl(keys.cooldown(instrument))
                pipe.zrangebyscore(
                    keys.backtest_history(instrument), f"({now_ms - HISTORY_MS}", "+inf"
                )
            found = await pipe.execute()
        return {
            instrument: Memory(
                _state(instrument, found[4 * i], found[4 * i + 1], found[4 * i + 2], now_ms),
                tuple(s for raw in found[4 * i + 3] if (s := _sample(instrument, raw))),
            )
            for i, instrument in enumerate(instruments)
        }


def queue_memory(pipe: Pipeline, evaluation: Evaluation, now_ms: int) -> None:
    """Queue the memory after an evaluation."""
    instrument, state = evaluation.instrument, evaluation.state
    values = {
        "eligible": int(state.eligible),
        "passes": state.passes,
        "fails": state.fails,
        "misses": state.misses,
        "watermark": state.watermark,
    }
    for counter, value in values.items():
        if value is not None:
            pipe.set(keys.gate_memory(counter, instrument), value)
    if state.cooling(now_ms) and state.cooldown_until is not None:
        # An absolute end: written again, it is no longer than before.
        pipe.set(keys.cooldown(instrument), state.cooldown_until, pxat=state.cooldown_until)
    if evaluation.sample is not None:
        key = keys.backtest_history(instrument)
        pipe.zadd(key, {json.dumps(asdict(evaluation.sample)): evaluation.sample.ts})
        pipe.zremrangebyscore(key, "-inf", now_ms - HISTORY_MS)


def _state(
    instrument: str,
    counters: list[bytes | None],
    cooldown: bytes | None,
    ttl_ms: int,
    now_ms: int,
) -> GateState:
    eligible, passes, fails, misses, watermark = (
        _whole(instrument, name, raw) for name, raw in zip(_COUNTERS, counters, strict=True)
    )
    until = None
    if cooldown is not None:
        until = _whole(instrument, "cooldown", cooldown)
        if until is None or until <= now_ms:
            # Set by hand: present means cooling down, for as long as the key lives.
            until = now_ms + (ttl_ms if ttl_ms > 0 else COOLDOWN_MS)
    return GateState(eligible == 1, passes or 0, fails or 0, misses or 0, watermark, until)


def _whole(instrument: str, name: str, raw: bytes | None) -> int | None:
    if raw is None:
        return None
    try:
        return int(raw)
    except ValueError:
        _log.error("unreadable counter refused", instrument=instrument, counter=name)
        return None


def _sample(instrument: str, raw: bytes) -> Sample | None:
    try:
        fields = json.loads(raw)
        return Sample(
            int(fields["ts"]), int(fields["trades"]), float(fields["calmar"]), float(fields["pnl"])
        )
    except (ValueError, KeyError, TypeError):
        _log.error("unreadable history sample refused", instrument=instrument)
        return None
