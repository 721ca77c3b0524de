"""Gate memory in Valkey: hysteresis counters, cooldown and history, one key each.

``eligible`` and the counters carry the digest of the parameters that they were counted under, as
in ``1:5f0c9a6be21d4478``; while parameters are new, ``eligible`` ends with ``:new``. A number
alone was written by an earlier version, or by hand.
"""

import re
from collections.abc import Sequence

from redis.asyncio.client import Pipeline
from sep_kit.errors import StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, store_errors, wrong_type

from sep_evaluator.adapters.gate_history import GateHistory, queue_sample
from sep_evaluator.domain.evaluation import Evaluation, GateMemory
from sep_evaluator.domain.floors import BaseFloors
from sep_evaluator.domain.gates import COOLDOWN_MS, GateState

_log = get_logger("GateMemory")
_COUNTERS = ("eligible", "passes", "fails", "misses", "watermark")
_VALUE = re.compile(rb"(\d+)(?::([0-9a-f]{1,64})(:new)?)?")
# A smaller number is not a time in ms: an operator has set the key by hand.
_FIRST_TIME_MS = 10**12


class StoredGateMemory:
    """Reads the gate memory."""

    def __init__(self, store: Valkey, base: BaseFloors) -> None:
        self._store = store
        self._history = GateHistory(store, base)

    async def load(self, instruments: Sequence[str], now_ms: int) -> dict[str, GateMemory]:
        """Gate memory of each instrument, in a few round trips.

        If one counter is unreadable, or two were counted under different parameters, all start
        at their initial values: not eligible, and two fresh passes needed. Without a watermark
        the passes are dropped too, since their data could count twice. An unreadable cooldown
        runs for its full length, and the counters before it are dropped.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        async with store_errors(), self._store.pipeline(transaction=False) as pipe:
            for instrument in instruments:
                pipe.mget([keys.gate_memory(c, instrument) for c in _COUNTERS])
                pipe.get(keys.cooldown(instrument))
                pipe.pttl(keys.cooldown(instrument))
            found = await pipe.execute(raise_on_error=False)
        if lost := [e for e in found if isinstance(e, Exception) and not wrong_type(e)]:
            raise StoreUnavailableError(f"Valkey refused: {lost[0]}")
        floors = await self._history.load(instruments, now_ms)
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        return {
            instrument: GateMemory(
                _state(instrument, counters, cooldown, ttl_ms, now_ms), floors[instrument]
            )
            for instrument, (counters, cooldown, ttl_ms) in zip(instruments, rows, strict=True)
        }


def queue_memory(pipe: Pipeline, evaluation: Evaluation, now_ms: int) -> None:
    """Queue the writes of the gate memory after an evaluation."""
    instrument, state = evaluation.instrument, evaluation.state
    under = f":{state.params}" if state.params else ""
    new = ":new" if state.params_new else ""
    values = {
        "eligible": f"{int(state.eligible)}{under}{new}",
        "passes": f"{state.passes}{under}",
        "fails": f"{state.fails}{under}",
        "misses": f"{state.misses}{under}",
        # Of the candles, whatever they are judged by.
        "watermark": state.watermark,
    }
    for counter, value in values.items():
        if value is not None:
            pipe.set(keys.gate_memory(counter, instrument), value)
    if state.cooling(now_ms) and state.cooldown_until is not None:
        # The value is the end of the cooldown, so writing it again does not prolong it.
        left = state.cooldown_until - now_ms
        pipe.set(keys.cooldown(instrument), state.cooldown_until, px=left)
    if evaluation.sample is not None:
        queue_sample(pipe, instrument, evaluation.sample, now_ms)


def _state(
    instrument: str,
    counters: list[bytes | None],
    cooldown: bytes | Exception | None,
    ttl_ms: int,
    now_ms: int,
) -> GateState:
    numbers, params, new = _counted(instrument, dict(zip(_COUNTERS, counters, strict=True)))
    watermark = numbers.get("watermark")
    if isinstance(cooldown, Exception):
        _log.error("cooldown of a wrong type counts as running", instrument=instrument)
        cooldown = b"of a wrong type"
    until = _cooldown_end(cooldown, ttl_ms, now_ms)
    if until is not None:
        return GateState(watermark=watermark, cooldown_until=until, params=params, params_new=new)
    eligible = numbers.get("eligible") == 1
    if watermark is None:
        return GateState(eligible=eligible, params=params, params_new=new)
    return GateState(
        eligible=eligible,
        passes=numbers.get("passes", 0),
        fails=numbers.get("fails", 0),
        misses=numbers.get("misses", 0),
        watermark=watermark,
        params=params,
        params_new=new,
    )


def _counted(instrument: str, raws: dict[str, bytes | None]) -> tuple[dict[str, int], str, bool]:
    """The numbers by counter, the digest they carry and whether its parameters are new."""
    found = {name: _VALUE.fullmatch(raw) for name, raw in raws.items() if raw is not None}
    digests = {m[2] for m in found.values() if m and m[2]}
    unreadable = [name for name, match in found.items() if match is None]
    for name in unreadable:
        _log.error("unreadable counter refused", instrument=instrument, counter=name)
    if len(digests) > 1:
        _log.error("counters of different parameters refused", instrument=instrument)
    if unreadable or len(digests) > 1:
        return {}, "", False
    numbers = {name: int(match[1]) for name, match in found.items() if match}
    params = digests.pop().decode() if digests else ""
    return numbers, params, any(m and m[3] for m in found.values())


def _cooldown_end(cooldown: bytes | None, ttl_ms: int, now_ms: int) -> int | None:
    """End of the cooldown in ms, None without one.

    A value that is not a time was set by hand: that cooldown lasts as long as its key.
    """
    if cooldown is None:
        return None
    if cooldown.isdigit() and int(cooldown) >= _FIRST_TIME_MS:
        until = int(cooldown)
        return until if until > now_ms else None
    return now_ms + (ttl_ms if ttl_ms > 0 else COOLDOWN_MS)
