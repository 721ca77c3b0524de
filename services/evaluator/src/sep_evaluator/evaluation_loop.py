"""Every interval: judge every instrument, publish ONE blob."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from redis.asyncio.client import Pipeline
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotTheWriterError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.lease import Lease
from sep_kit.store.records import GatesBlob

from sep_evaluator.adapters.evaluation_record import EvaluationRecord
from sep_evaluator.adapters.gate_memory import GateMemory, queue_memory
from sep_evaluator.domain.evaluation import Evaluation, GateLimits, Observation, evaluate
from sep_evaluator.domain.gates import clamp_buffer
from sep_evaluator.long_runs import LongRuns
from sep_evaluator.metrics import EvaluatorMetrics

_log = get_logger("Evaluator")


@dataclass(frozen=True, slots=True)
class Buffers:
    """Hysteresis buffers, clamped; the clamping is logged once, at start."""

    default: float
    by_instrument: Mapping[str, float]

    @classmethod
    def of(cls, default: float, pairs: Mapping[str, float]) -> "Buffers":
        """The buffers as set, inside their limits."""
        for name, value in {"HYSTERESIS_DEFAULT": default, **pairs}.items():
            if value != clamp_buffer(value):
                _log.warning("buffer clamped", name=name, value=value, to=clamp_buffer(value))
        return cls(clamp_buffer(default), {i: clamp_buffer(b) for i, b in pairs.items()})

    def of_instrument(self, instrument: str) -> float:
        """The buffer in force."""
        return self.by_instrument.get(instrument, self.default)


class EvaluationLoop:
    """Judges and publishes; memory, evaluations and blob are one transaction."""

    def __init__(
        self,
        runs: LongRuns,
        lock: asyncio.Lock,
        store: Valkey,
        lease: Lease,
        clock: Clock,
        limits: GateLimits,
        buffers: Buffers,
        span_days: int,
        metrics: EvaluatorMetrics,
    ) -> None:
        self._runs = runs
        self._lock = lock
        self._store = store
        self._memory = GateMemory(store, limits.floors)
        self._lease = lease
        self._clock = clock
        self._limits = limits
        self._buffers = buffers
        self._span_days = span_days
        self._metrics = metrics

    async def tick(self) -> None:
        """Evaluate and publish, on the replica that holds the lease."""
        at = now_ms(self._clock) // 1000
        calendar = self._runs.rules.calendar
        self._metrics.show_market({i: calendar.state(i, at).open for i in self._runs.instruments})
        if self._lease.held:
            await self.evaluate_now()
            return
        self._metrics.forget()
        async with self._lock:
            await self.refresh()

    async def evaluate_now(self) -> GatesBlob:
        """Evaluate every instrument and publish the blob.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was published.
            StoreUnavailableError: Valkey does not answer; nothing was published.
        """
        if not self._lease.held:
            raise NotTheWriterError("this evaluator does not hold the writer lease; ask again")
        async with self._lock:
            await self.refresh()
            now = now_ms(self._clock)
            memory = await self._memory.load(self._runs.instruments, now)
            evaluations = [
                evaluate(
                    memory[instrument].state,
                    memory[instrument].past.history,
                    self._observe(instrument, now),
                    self._limits,
                    self._buffers.of_instrument(instrument),
                    now,
                    floors=memory[instrument].past.at(now),
                )
                for instrument in self._runs.instruments
            ]
            blob = blob_of(evaluations, now)
            records = {
                e.instrument: EvaluationRecord.of(
                    e,
                    self._runs.run(e.instrument).params,
                    self._runs.run(e.instrument).spans(),
                    now,
                )
                for e in evaluations
            }
            await self._lease.write(lambda pipe: _queue(pipe, evaluations, records, blob, now))
        self._metrics.show(evaluations)
        for e in evaluations:
            if e.flipped:
                _log.info(
                    "gate flipped", instrument=e.instrument, eligible=e.state.eligible,
                    reasons=[str(r) for r in e.reasons], verdict=str(e.verdict),
                )  # fmt: skip
        return blob

    async def refresh(self) -> None:
        """Bring the runs up to what the store holds; a replica that waits is kept warm so.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        names = self._runs.instruments
        found = await reply(self._store.mget([keys.best_config(i) for i in names]))
        self._runs.adopt_params(dict(zip(names, found, strict=True)))
        await self._runs.catch_up(rewritten=True)

    def _observe(self, instrument: str, now: int) -> Observation:
        run = self._runs.run(instrument)
        return Observation(
            instrument,
            run.summary(self._span_days) if len(run) else None,
            run.watermark,
            self._runs.integrity(instrument),
            self._runs.rules.calendar.state(instrument, now // 1000),
        )


def blob_of(evaluations: list[Evaluation], now: int) -> GatesBlob:
    """The blob that a round of evaluations makes."""
    return GatesBlob(
        ts=now,
        gates={e.instrument: int(e.gate) for e in evaluations},
        cooldowns={e.instrument: int(e.cooldown) for e in evaluations},
        bufs={e.instrument: e.buffer for e in evaluations},
        reasons={e.instrument: list(e.reasons) for e in evaluations},
    )


def _queue(
    pipe: Pipeline,
    evaluations: list[Evaluation],
    records: Mapping[str, EvaluationRecord],
    blob: GatesBlob,
    now: int,
) -> None:
    for e in evaluations:
        queue_memory(pipe, e, now)
        pipe.set(keys.backtest_summary(e.instrument), records[e.instrument].model_dump_json())
    pipe.set(keys.GATES_BLOB, blob.model_dump_json())
    pipe.publish(keys.GATES_CHANNEL, str(now))
